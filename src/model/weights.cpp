#include "model/weights.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <numeric>
#include <set>

#include "bitaxon/error.h"
#include "formats/quantization_config.h"
#include "formats/weight_source.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

/// Builds the list of a model's slots.
class SlotList {
 public:
  explicit SlotList(const ModelSpec& spec) : spec_(spec) {}

  std::vector<WeightSlot> build() {
    const std::int64_t d_embedding = spec_.d_embedding;
    add(WeightId::embedding, WeightRole::matrix, {spec_.vocab_size, d_embedding});
    if (spec_.has_bridges)
      add(WeightId::input_bridge, WeightRole::matrix, {spec_.d_model, d_embedding});
    for (block_ = 0; block_ < spec_.n_blocks(); ++block_) add_block(spec_.block(block_));
    block_ = -1;
    if (spec_.has_bridges)
      add(WeightId::output_bridge, WeightRole::matrix, {d_embedding, spec_.d_model});
    if (spec_.has_final_norm) add(WeightId::final_norm, WeightRole::vector, {d_embedding});
    add(WeightId::head, WeightRole::matrix, {spec_.vocab_size, d_embedding});
    return std::move(slots_);
  }

 private:
  void add(WeightId id, WeightRole role, Shape shape, std::int64_t chosen_of = 0) {
    const WeightKey key{id, block_};
    slots_.push_back({key, role, spec_.names.at(key), shape, chosen_of});
  }

  void add_block(const BlockSpec& block) {
    if (block.has_mixer_norm) add(WeightId::mixer_norm, WeightRole::vector, {spec_.d_model});
    std::visit([&](const auto& mixer) { add_mixer(mixer); }, block.mixer);
    if (block.feed_forward.index() == 0) return;
    if (block.has_feed_forward_norm)
      add(WeightId::feed_forward_norm, WeightRole::vector, {spec_.d_model});
    std::visit([&](const auto& feed_forward) { add_feed_forward(feed_forward); },
               block.feed_forward);
  }

  /// Adds a vector that only some models have.
  void add_if_named(WeightId id, std::int64_t size) {
    if (spec_.names.contains({id, block_})) add(id, WeightRole::vector, {size});
  }

  void add_mixer(const SelectiveScanSpec& scan) {
    const std::int64_t rank = scan.dt_rank.value_or(1);
    add(WeightId::scan_in, WeightRole::matrix, {2 * scan.d_inner, spec_.d_model});
    add_if_named(WeightId::scan_in_bias, 2 * scan.d_inner);
    add(WeightId::conv_taps, WeightRole::taps, {scan.d_inner, scan.d_conv, 1});
    add_if_named(WeightId::conv_bias, scan.d_inner);
    add(WeightId::scan_params, WeightRole::matrix, {rank + 2 * scan.d_state, scan.d_inner});
    add_if_named(WeightId::dt_norm, rank);
    add_if_named(WeightId::b_norm, scan.d_state);
    add_if_named(WeightId::c_norm, scan.d_state);
    add(WeightId::dt_weight, scan.dt_rank ? WeightRole::matrix : WeightRole::table,
        {scan.d_inner, rank});
    add(WeightId::dt_bias, WeightRole::vector, {scan.d_inner});
    add(WeightId::a_log, WeightRole::table, {scan.d_inner, scan.d_state});
    add(WeightId::skip, WeightRole::vector, {scan.d_inner});
    add(WeightId::scan_out, WeightRole::matrix, {spec_.d_model, scan.d_inner});
    add_if_named(WeightId::scan_out_bias, spec_.d_model);
  }

  void add_mixer(const AttentionSpec& attention) {
    const std::int64_t d_query = attention.n_heads * attention.head_dim;
    add(WeightId::query, WeightRole::matrix, {d_query, spec_.d_model});
    add_if_named(WeightId::query_bias, d_query);
    add(WeightId::key, WeightRole::matrix, {attention.kv_dim(), spec_.d_model});
    add_if_named(WeightId::key_bias, attention.kv_dim());
    add(WeightId::value, WeightRole::matrix, {attention.kv_dim(), spec_.d_model});
    add_if_named(WeightId::value_bias, attention.kv_dim());
    add_if_named(WeightId::query_norm, attention.head_dim);
    add_if_named(WeightId::key_norm, attention.head_dim);
    add(WeightId::attention_out, WeightRole::matrix, {spec_.d_model, d_query});
    add_if_named(WeightId::attention_out_bias, spec_.d_model);
  }

  void add_feed_forward(std::monostate) {}
  void add_feed_forward(const DenseSpec& dense) {
    add(WeightId::dense_gate, WeightRole::matrix, {dense.d_hidden, spec_.d_model});
    add(WeightId::dense_up, WeightRole::matrix, {dense.d_hidden, spec_.d_model});
    add(WeightId::dense_down, WeightRole::matrix, {spec_.d_model, dense.d_hidden});
  }
  void add_feed_forward(const ExpertsSpec& experts) {
    const std::int64_t n = experts.n_experts;
    const Shape up{n, experts.d_hidden, spec_.d_model};
    add(WeightId::router, WeightRole::matrix, {n, spec_.d_model});
    add(WeightId::experts_gate, WeightRole::experts, up, experts.top_k);
    add(WeightId::experts_up, WeightRole::experts, up, experts.top_k);
    add(WeightId::experts_down, WeightRole::experts, {n, spec_.d_model, experts.d_hidden},
        experts.top_k);
    if (!experts.has_shared) return;
    add(WeightId::shared_router, WeightRole::matrix, {1, spec_.d_model});
    add(WeightId::shared_gate, WeightRole::matrix, {experts.d_hidden, spec_.d_model});
    add(WeightId::shared_up, WeightRole::matrix, {experts.d_hidden, spec_.d_model});
    add(WeightId::shared_down, WeightRole::matrix, {spec_.d_model, experts.d_hidden});
  }

  const ModelSpec& spec_;
  std::int64_t block_ = -1;
  std::vector<WeightSlot> slots_;
};

/// Computes the fingerprint of a model. The weights are hashed one by one, in any order. Then their
/// hashes are combined in the model's order.
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
  std::uint64_t value(const ModelSpec& spec) const {
    return hash_of(std::as_bytes(std::span(hashes_)), hash_of(text_bytes(spec.config), 0));
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

/// The shape of a slot's tensor. The taps of a convolution are stored as [channels, taps, 1] or as
/// [channels, 1, taps], which have the same bytes.
Shape stored_shape(const WeightSlot& slot, const Checkpoint& checkpoint, const std::string& name) {
  if (slot.role != WeightRole::taps) return slot.shape;
  const TensorInfo* tensor = checkpoint.find(name);
  const Shape other{slot.shape[0], 1, slot.shape[1]};
  return tensor != nullptr && tensor->shape == other ? other : slot.shape;
}

/// The tensors of a slot in a checkpoint. std::nullopt only for a missing head that the tied
/// embedding replaces, and for a missing optional weight.
std::optional<WeightSource> find_tensors(const WeightSlot& slot, const ModelSpec& spec,
                                         const Checkpoint& checkpoint, std::string_view name) {
  for (const std::string& tensor : slot.names) {
    auto source = tensor.find('*') == std::string::npos
                      ? find_weight(checkpoint, tensor, stored_shape(slot, checkpoint, tensor),
                                    slot.may_be_quantized())
                      : find_stack(checkpoint, tensor, slot.shape);
    if (source) return source;
  }
  if (is_tied_head(spec, slot) || spec.optional.contains(slot.key)) return std::nullopt;
  throw Error(ErrorKind::format,
              fmt::format("{}: tensor {}: expected {}{}, got none", name, slot.name(),
                          slot.shape.to_string(),
                          slot.key.id == WeightId::head
                              ? ", because config.json says that the embedding is not the head"
                              : ""));
}

/// Does the same as find_tensors. If a tensor does not fit, the message also gives what config.json
/// says about quantization.
std::optional<WeightSource> find_slot(const WeightSlot& slot, const ModelSpec& spec,
                                      const Checkpoint& checkpoint, std::string_view name) {
  try {
    return find_tensors(slot, spec, checkpoint, name);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::format || spec.quantization.empty()) throw;
    throw Error(error.kind(),
                fmt::format("{}; config.json says that the weights are quantized ({})",
                            error.what(), spec.quantization));
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

WeightRef Weights::find(const WeightKey& key) const {
  const auto found = refs_.find(key);
  if (found != refs_.end()) return found->second;
  return key.id == WeightId::head ? find({WeightId::embedding}) : nullptr;
}

WeightRef Weights::rotary(const RotarySpec& spec) const {
  for (const auto& [key, table] : rotary_)
    if (key == spec) return table;
  return nullptr;
}

WeightDesc with_matrix_shape(WeightDesc desc, const WeightSlot& slot) {
  const Shape shape = matrix_shape(slot);
  desc.n_matrices = shape[0];
  desc.rows = shape[1];
  desc.cols = shape[2];
  return desc;
}

Shape matrix_shape(const WeightSlot& slot) {
  const Shape& shape = slot.shape;
  switch (slot.role) {
    case WeightRole::vector:
      return {1, 1, shape[0]};
    case WeightRole::experts:
      return shape;
    case WeightRole::table:
    case WeightRole::taps:
    case WeightRole::matrix:
      return {1, shape[0], shape[1]};
  }
  return shape;
}

std::vector<WeightSlot> weight_slots(const ModelSpec& spec) { return SlotList(spec).build(); }

std::vector<UnitNorm> unit_norms(const ModelSpec& spec) {
  std::vector<UnitNorm> norms;
  for (std::int64_t i = 0; i < spec.n_blocks(); ++i) {
    const auto* scan = std::get_if<SelectiveScanSpec>(&spec.block(i).mixer);
    if (scan == nullptr || scan->inner_norms != InnerNorms::without_weights) continue;
    const auto add = [&](WeightId id, std::string_view name, std::int64_t size) {
      WeightDesc desc;
      desc.name = fmt::format("unit norm of {} in block {}", name, i);
      desc.cols = size;
      norms.push_back({{id, i}, std::move(desc)});
    };
    add(WeightId::dt_norm, "dt", scan->dt_rank.value_or(1));
    add(WeightId::b_norm, "B", scan->d_state);
    add(WeightId::c_norm, "C", scan->d_state);
  }
  return norms;
}

std::vector<FoundWeight> find_weights(const ModelSpec& spec, const Checkpoint& checkpoint,
                                      std::string_view name, std::vector<std::string>& warnings) {
  warnings.insert(warnings.end(), checkpoint.warnings().begin(), checkpoint.warnings().end());
  const QuantizationConfig quantization(spec.quantization_block, name);
  std::vector<FoundWeight> found;
  for (WeightSlot& slot : weight_slots(spec)) {
    auto source = find_slot(slot, spec, checkpoint, name);
    if (!source) continue;
    quantization.check(checkpoint, *source);
    source->desc = with_matrix_shape(source->desc, slot);
    found.push_back({std::move(slot), std::move(*source)});
  }
  warn_of_unknown_tensors(checkpoint, name, found, warnings);
  return found;
}

std::uint64_t FoundWeight::stored_bytes() const {
  const TensorInfo* first = source.first_tensor();
  if (first == nullptr) return source.desc.stored_bytes();  // random, not read from a file
  // A head that is made from the embedding has the embedding's data.
  if (source.matrices.empty() && std::ranges::find(slot.names, first->name) == slot.names.end())
    return 0;
  std::uint64_t size = 0;
  for (const TensorInfo* tensor : tensors_of(source)) size += tensor->size_bytes;
  return size;
}

StoredWeight stored_weight(const FoundWeight& found) {
  return {.name = found.slot.name(),
          .shape = found.slot.shape,
          .is_stack = found.slot.role == WeightRole::experts,
          .desc = found.loaded()};
}

void quantize_found(const ModelSpec& spec, const Quantization& how, std::string_view name,
                    std::vector<FoundWeight>& found) {
  const FoundWeight* embedding = nullptr;
  bool has_head = false;
  for (FoundWeight& entry : found) {
    const WeightDesc& desc = entry.source.desc;
    if (desc.format != WeightFormat::dense)
      throw Error(ErrorKind::unsupported,
                  fmt::format("{}: tensor {}: expected floats to quantize, got {}: the model is "
                              "quantized already",
                              name, entry.slot.name(), desc.format_name()));
    const WeightId id = entry.slot.key.id;
    if (id == WeightId::embedding) embedding = &entry;
    has_head = has_head || id == WeightId::head;
    if (entry.slot.may_be_quantized() && id != WeightId::embedding && can_quantize(desc, how))
      entry.quantize = how;
  }
  if (has_head || embedding == nullptr || !can_quantize(embedding->source.desc, how)) return;
  FoundWeight head = *embedding;
  head.slot = weight_slots(spec).back();
  head.source.desc.name = head.slot.name();
  head.quantize = how;
  found.push_back(std::move(head));
}

ReadWeight reader_of(const Checkpoint& checkpoint) {
  return [&checkpoint](const FoundWeight& found, LoadedWeight& into) {
    const WeightSource& source = found.source;
    if (!found.quantize) return load_weight(checkpoint, source, into);
    return quantize(source.desc, *found.quantize, dense_reader(checkpoint, source), into);
  };
}

std::string_view part_of(WeightId id) {
  switch (id) {
    case WeightId::embedding:
      return "embedding";
    case WeightId::head:
      return "head";
    case WeightId::input_bridge:
    case WeightId::output_bridge:
      return "bridge";
    case WeightId::scan_in:
    case WeightId::scan_in_bias:
    case WeightId::conv_taps:
    case WeightId::conv_bias:
    case WeightId::scan_params:
    case WeightId::dt_weight:
    case WeightId::dt_bias:
    case WeightId::a_log:
    case WeightId::skip:
    case WeightId::scan_out:
    case WeightId::scan_out_bias:
      return "ssm";
    case WeightId::query:
    case WeightId::query_bias:
    case WeightId::key:
    case WeightId::key_bias:
    case WeightId::value:
    case WeightId::value_bias:
    case WeightId::attention_out:
    case WeightId::attention_out_bias:
      return "attention";
    case WeightId::dense_gate:
    case WeightId::dense_up:
    case WeightId::dense_down:
      return "mlp";
    case WeightId::router:
    case WeightId::shared_router:
      return "router";
    case WeightId::experts_gate:
    case WeightId::experts_up:
    case WeightId::experts_down:
      return "experts";
    case WeightId::shared_gate:
    case WeightId::shared_up:
    case WeightId::shared_down:
      return "shared expert";
    case WeightId::mixer_norm:
    case WeightId::dt_norm:
    case WeightId::b_norm:
    case WeightId::c_norm:
    case WeightId::query_norm:
    case WeightId::key_norm:
    case WeightId::feed_forward_norm:
    case WeightId::final_norm:
      break;
  }
  return "norms";
}

Weights pack_weights(const std::vector<FoundWeight>& found, const ModelSpec& spec,
                     const ReadWeight& read, Backend& backend, const LoadProgress& on_progress) {
  const auto place = [&](std::size_t i) {
    const TensorInfo* first = found[i].source.first_tensor();
    return first == nullptr ? std::pair(0, std::uint64_t{0})
                            : std::pair(first->file, first->offset_bytes);
  };
  std::vector<std::size_t> order(found.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return place(a) < place(b); });
  std::uint64_t total_bytes = 0;
  for (const FoundWeight& entry : found) total_bytes += entry.source.desc.stored_bytes();
  Fingerprint fingerprint(found.size());
  Weights weights;
  LoadedWeight staging;
  std::uint64_t done_bytes = 0;
  for (std::size_t i : order) {
    const WeightDesc desc = read(found[i], staging);
    fingerprint.add(i, desc, staging.parts);
    weights.set(found[i].slot.key, backend.pack(desc, staging.parts));
    done_bytes += found[i].source.desc.stored_bytes();
    if (on_progress) on_progress(done_bytes, total_bytes);
  }
  weights.fingerprint = fingerprint.value(spec);
  return weights;
}

bool is_tied_head(const ModelSpec& spec, const WeightSlot& slot) {
  return slot.key.id == WeightId::head && spec.has_tied_head;
}

}  // namespace bitaxon
