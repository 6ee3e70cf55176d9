#include "model/weights.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <numeric>
#include <set>

#include "bitaxon/error.h"
#include "formats/weight_source.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

constexpr const char* kEmbedding = "embed_tokens.weight";
constexpr const char* kHead = "lm_head.weight";

class SlotList {
 public:
  SlotList(const Config& config, Weights& weights) : config_(config), weights_(weights) {}

  std::vector<WeightSlot> build();

 private:
  void add(std::string name, Shape shape, WeightRef& target, bool quantizable) {
    slots_.push_back({std::move(name), shape, quantizable, 0, &target});
  }
  void matrix(const std::string& name, std::int64_t rows, std::int64_t cols, WeightRef& target) {
    add(name + ".weight", {rows, cols}, target, true);
  }
  void vector(const std::string& name, std::int64_t n, WeightRef& target) {
    add(name, {n}, target, false);
  }
  void experts(const std::string& name, std::int64_t rows, std::int64_t cols, WeightRef& target) {
    add(name + ".weight", {config_.moe_num_experts, rows, cols}, target, true);
    slots_.back().chosen_of = config_.moe_top_k;
  }
  void add_ssm(const std::string& prefix, SsmWeights& ssm);
  void add_swa(const std::string& prefix, SwaWeights& swa);
  void add_moe(const std::string& prefix, MoeWeights& moe);

  const Config& config_;
  Weights& weights_;
  std::vector<WeightSlot> slots_;
};

void SlotList::add_ssm(const std::string& prefix, SsmWeights& ssm) {
  const std::int64_t d_model = config_.hidden_dim;
  const std::int64_t d_inner = config_.d_inner();
  const std::int64_t d_state = config_.ssm_d_state;
  matrix(prefix + "in_proj", 2 * d_inner, d_model, ssm.in_proj);
  add(prefix + "conv1d.weight", {d_inner, config_.ssm_d_conv, 1}, ssm.conv_weight, false);
  vector(prefix + "conv1d.bias", d_inner, ssm.conv_bias);
  matrix(prefix + "x_proj", 2 * d_state + 1, d_inner, ssm.x_proj);
  add(prefix + "dt_proj.weight", {d_inner, 1}, ssm.dt_weight, false);
  vector(prefix + "dt_proj.bias", d_inner, ssm.dt_bias);
  add(prefix + "A_log", {d_inner, d_state}, ssm.a_log, false);
  vector(prefix + "D", d_inner, ssm.skip);
  matrix(prefix + "out_proj", d_model, d_inner, ssm.out_proj);
}

void SlotList::add_swa(const std::string& prefix, SwaWeights& swa) {
  const std::int64_t d_model = config_.hidden_dim;
  matrix(prefix + "q_proj", d_model, d_model, swa.q_proj);
  matrix(prefix + "k_proj", d_model, d_model, swa.k_proj);
  matrix(prefix + "v_proj", d_model, d_model, swa.v_proj);
  matrix(prefix + "o_proj", d_model, d_model, swa.o_proj);
}

void SlotList::add_moe(const std::string& prefix, MoeWeights& moe) {
  const std::int64_t d_model = config_.hidden_dim;
  const std::int64_t intermediate = config_.moe_intermediate_dim;
  matrix(prefix + "gate", config_.moe_num_experts, d_model, moe.gate);
  experts(prefix + "switch_mlp.gate_proj", intermediate, d_model, moe.gate_proj);
  experts(prefix + "switch_mlp.up_proj", intermediate, d_model, moe.up_proj);
  experts(prefix + "switch_mlp.down_proj", d_model, intermediate, moe.down_proj);
  if (!config_.moe_shared_expert) return;
  matrix(prefix + "shared_expert_gate", 1, d_model, moe.shared_expert_gate);
  matrix(prefix + "shared_expert.gate_proj", intermediate, d_model, moe.shared_gate_proj);
  matrix(prefix + "shared_expert.up_proj", intermediate, d_model, moe.shared_up_proj);
  matrix(prefix + "shared_expert.down_proj", d_model, intermediate, moe.shared_down_proj);
}

std::vector<WeightSlot> SlotList::build() {
  const std::int64_t d_model = config_.hidden_dim;
  const std::int64_t d_source = config_.d_source_model;
  weights_.layers.resize(static_cast<std::size_t>(config_.num_layers));
  matrix("embed_tokens", config_.vocab_size, d_source, weights_.embed_tokens);
  matrix("input_proj", d_model, d_source, weights_.input_proj);
  for (std::int64_t i = 0; i < config_.num_layers; ++i) {
    LayerWeights& layer = weights_.layers[static_cast<std::size_t>(i)];
    const std::string prefix = fmt::format("layer_{}.", i);
    layer.kind = config_.layer_kind(i);
    vector(prefix + "input_norm.weight", d_model, layer.input_norm);
    if (layer.kind == LayerKind::swa_moe) {
      add_swa(prefix + "attention.", layer.swa);
      vector(prefix + "post_attention_norm.weight", d_model, layer.moe.norm);
    } else {
      add_ssm(prefix + "ssm.", layer.ssm);
    }
    if (layer.kind == LayerKind::ssm_moe)
      vector(prefix + "post_ssm_norm.weight", d_model, layer.moe.norm);
    if (layer.kind != LayerKind::ssm) add_moe(prefix + "moe.", layer.moe);
  }
  matrix("output_proj", d_source, d_model, weights_.output_proj);
  matrix("lm_head", config_.vocab_size, d_source, weights_.lm_head);
  return std::move(slots_);
}

/// Hashes contents tensor by tensor, in whatever order they are read; the fingerprint puts them
/// together in the model's order.
class Fingerprint {
 public:
  explicit Fingerprint(std::size_t n_slots) : hashes_(n_slots) {}

  void add(std::size_t slot, const WeightDesc& desc, const WeightParts& parts) {
    std::uint64_t hash =
        hash_of(text_bytes(fmt::format("{} {} {}", desc.format_name(), desc.nested_group_size,
                                       std::bit_cast<std::uint32_t>(desc.nested_offset))),
                slot);
    for (const auto& part : {parts.data, parts.scales, parts.biases, parts.quant_map,
                             parts.nested_scales, parts.nested_quant_map})
      hash = hash_of(part, hash);
    hashes_[slot] = hash;
  }
  std::uint64_t value(const Config& config) const {
    return hash_of(std::as_bytes(std::span(hashes_)), hash_of(text_bytes(config.to_json()), 0));
  }

 private:
  static std::span<const std::byte> text_bytes(std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
  }
  static std::uint64_t hash_of(std::span<const std::byte> bytes, std::uint64_t seed) {
    return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
  }
  std::vector<std::uint64_t> hashes_;
};

/// nullopt only for an lm_head that the tied embedding stands in for.
std::optional<WeightSource> find_tensors(const WeightSlot& slot, const Config& config,
                                         const Checkpoint& checkpoint, std::string_view name) {
  auto source = find_weight(checkpoint, slot.name, slot.shape, slot.quantizable);
  if (source) return source;
  if (slot.name == kHead) {
    if (config.weight_tying) return std::nullopt;
    throw Error(ErrorKind::format,
                fmt::format("{}: tensor lm_head.weight: expected {}, which weight_tying false asks "
                            "for, got none",
                            name, slot.shape.to_string()));
  }
  throw Error(ErrorKind::format, fmt::format("{}: tensor {}: expected {}, got none", name,
                                             slot.name, slot.shape.to_string()));
}

/// The same. The message about a tensor that does not fit tells what config.json says of the
/// format.
std::optional<WeightSource> find_slot(const WeightSlot& slot, const Config& config,
                                      const Checkpoint& checkpoint, std::string_view name) {
  try {
    return find_tensors(slot, config, checkpoint, name);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::format || config.quantization.empty()) throw;
    throw Error(error.kind(),
                fmt::format("{}; config.json says that the weights are quantized ({})",
                            error.what(), config.quantization));
  }
}

void warn_of_unknown_tensors(const Checkpoint& checkpoint, std::string_view name,
                             const std::vector<FoundWeight>& found,
                             std::vector<std::string>& warnings) {
  std::set<const TensorInfo*> known;
  for (const FoundWeight& entry : found)
    for (const TensorInfo* tensor : tensors_of(entry.source)) known.insert(tensor);
  std::size_t n_unknown = 0;
  const TensorInfo* first = nullptr;
  for (const TensorInfo& tensor : checkpoint.tensors()) {
    if (known.count(&tensor) != 0) continue;
    if (n_unknown++ == 0) first = &tensor;
  }
  if (n_unknown > 0)
    warnings.push_back(
        fmt::format("{}: {} tensor{} the model does not know {} ignored, the first is "
                    "{} {}",
                    name, n_unknown, n_unknown == 1 ? "" : "s", n_unknown == 1 ? "is" : "are",
                    printable(first->name), describe(*first)));
}

}  // namespace

WeightDesc with_matrix_shape(WeightDesc desc, const WeightSlot& slot) {
  const Shape shape = matrix_shape(slot);
  desc.n_matrices = shape[0];
  desc.rows = shape[1];
  desc.cols = shape[2];
  return desc;
}

Shape matrix_shape(const WeightSlot& slot) {
  const Shape& shape = slot.shape;
  if (shape.rank() == 1) return {1, 1, shape[0]};
  if (shape.rank() == 2) return {1, shape[0], shape[1]};
  return slot.quantizable ? shape : Shape{1, shape[0], shape[1] * shape[2]};
}

std::vector<WeightSlot> weight_slots(const Config& config, Weights& weights) {
  return SlotList(config, weights).build();
}

std::vector<FoundWeight> find_weights(const Config& config, const Checkpoint& checkpoint,
                                      std::string_view name, Weights& weights,
                                      std::vector<std::string>& warnings) {
  warnings.insert(warnings.end(), checkpoint.warnings().begin(), checkpoint.warnings().end());
  std::vector<FoundWeight> found;
  for (WeightSlot& slot : weight_slots(config, weights)) {
    auto source = find_slot(slot, config, checkpoint, name);
    if (!source) continue;
    source->desc = with_matrix_shape(source->desc, slot);
    found.push_back({std::move(slot), std::move(*source)});
  }
  warn_of_unknown_tensors(checkpoint, name, found, warnings);
  return found;
}

std::uint64_t FoundWeight::stored_bytes() const {
  if (source.data == nullptr) return source.desc.stored_bytes();  // made up, not read
  std::uint64_t size = 0;
  if (source.data->name == slot.name)
    for (const TensorInfo* tensor : tensors_of(source)) size += tensor->size_bytes;
  return size;
}

StoredWeight stored_weight(const FoundWeight& found) {
  return {.name = found.slot.name,
          .shape = found.slot.shape,
          .is_stack = found.slot.chosen_of > 0,
          .desc = found.loaded()};
}

void quantize_found(const Config& config, const Quantization& how, std::string_view name,
                    Weights& weights, std::vector<FoundWeight>& found) {
  const FoundWeight* embedding = nullptr;
  bool has_head = false;
  for (FoundWeight& entry : found) {
    const WeightDesc& desc = entry.source.desc;
    if (desc.format != WeightFormat::dense)
      throw Error(ErrorKind::unsupported,
                  fmt::format("{}: tensor {}: expected floats to quantize, got {}: the model is "
                              "quantized already",
                              name, entry.slot.name, desc.format_name()));
    if (entry.slot.name == kEmbedding) embedding = &entry;
    has_head = has_head || entry.slot.name == kHead;
    if (entry.slot.quantizable && entry.slot.name != kEmbedding && can_quantize(desc, how))
      entry.quantize = how;
  }
  if (has_head || embedding == nullptr || !can_quantize(embedding->source.desc, how)) return;
  FoundWeight head = *embedding;
  for (WeightSlot& slot : weight_slots(config, weights))
    if (slot.name == kHead) head.slot = std::move(slot);
  head.source.desc.name = kHead;
  head.quantize = how;
  found.push_back(std::move(head));
}

ReadWeight reader_of(const Checkpoint& checkpoint) {
  return [&checkpoint](const FoundWeight& found, LoadedWeight& into) {
    const WeightSource& source = found.source;
    if (!found.quantize) {
      read_weight(checkpoint, source, into);
      return source.desc;
    }
    return quantize(source.desc, *found.quantize, dense_reader(checkpoint, source), into);
  };
}

std::string_view part_of(std::string_view name) {
  const auto has = [&](std::string_view text) { return name.find(text) != std::string_view::npos; };
  if (has("embed_tokens")) return "embedding";
  if (has("lm_head")) return "head";
  if (has("input_proj.") || has("output_proj.")) return "bridge";
  if (has(".ssm.")) return "ssm";
  if (has(".attention.")) return "attention";
  if (has(".switch_mlp.")) return "experts";
  if (has(".shared_expert.")) return "shared expert";
  if (has(".moe.")) return "router";
  return "norms";
}

void pack_weights(const std::vector<FoundWeight>& found, const Config& config,
                  const ReadWeight& read, Backend& backend, const LoadProgress& on_progress,
                  Weights& weights) {
  const auto place = [&](std::size_t i) {
    const TensorInfo* data = found[i].source.data;
    return data == nullptr ? std::pair(0, std::uint64_t{0})
                           : std::pair(data->file, data->offset_bytes);
  };
  std::vector<std::size_t> order(found.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return place(a) < place(b); });
  std::uint64_t total_bytes = 0;
  for (const FoundWeight& entry : found) total_bytes += entry.source.desc.stored_bytes();
  Fingerprint fingerprint(found.size());
  LoadedWeight staging;
  std::uint64_t done_bytes = 0;
  for (std::size_t i : order) {
    const WeightDesc desc = read(found[i], staging);
    fingerprint.add(i, desc, staging.parts);
    *found[i].slot.target = backend.pack(desc, staging.parts);
    done_bytes += found[i].source.desc.stored_bytes();
    if (on_progress) on_progress(done_bytes, total_bytes);
  }
  if (weights.lm_head == nullptr) weights.lm_head = weights.embed_tokens;
  weights.fingerprint = fingerprint.value(config);
}

bool is_tied_head(const Config& config, const WeightSlot& slot) {
  return slot.name == kHead && config.weight_tying;
}

}  // namespace bitaxon
