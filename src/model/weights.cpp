#include "model/weights.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <filesystem>
#include <numeric>
#include <set>

#include "bitaxon/error.h"
#include "formats/quantization_config.h"
#include "formats/weight_source.h"
#include "model/families/family.h"
#include "model/rotary.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

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

/// A tensor of a slot under one of its names, if the checkpoint has one. For matrices that are
/// stored one by one, the tensor of the first matrix.
const TensorInfo* tensor_named(const Checkpoint& checkpoint, std::string name) {
  if (const std::size_t star = name.find('*'); star != std::string::npos) name[star] = '0';
  return checkpoint.find(name);
}

/// Refuses a slot that the checkpoint has under two names. `found` is one of them.
void refuse_second_name(const WeightSlot& slot, const std::string& found,
                        const Checkpoint& checkpoint) {
  for (const std::string& other : slot.names)
    if (const TensorInfo* second = tensor_named(checkpoint, other); other != found && second)
      throw Error(ErrorKind::format,
                  fmt::format("{}: tensor \"{}\": expected none, because \"{}\" holds the same "
                              "weight",
                              printable_path(checkpoint.file_name(*second)),
                              printable(second->name), printable(found)));
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
    if (!source) continue;
    refuse_second_name(slot, tensor, checkpoint);
    return source;
  }
  if (is_tied_head(spec, slot) || spec.optional.contains(slot.key)) return std::nullopt;
  throw Error(ErrorKind::format,
              fmt::format("{}: tensor {}: expected {}{}, got none", name,
                          fmt::join(slot.names, " or "), slot.shape.to_string(),
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

void warn_of_unknown_tensors(const ModelSpec& spec, const Checkpoint& checkpoint,
                             std::string_view name, const std::vector<FoundWeight>& found,
                             std::vector<std::string>& warnings) {
  std::set<const TensorInfo*> known;
  for (const FoundWeight& entry : found)
    for (const TensorInfo* tensor : tensors_of(entry.source)) known.insert(tensor);
  std::size_t n_unknown = 0;
  const TensorInfo* first = nullptr;
  for (const TensorInfo& tensor : checkpoint.tensors()) {
    if (known.contains(&tensor) || is_unused_tensor(spec, tensor.name)) continue;
    if (n_unknown++ == 0) first = &tensor;
  }
  if (n_unknown > 0)
    warnings.push_back(
        fmt::format("{}: {} tensor{} the model does not know {} ignored, the first is "
                    "{} {}",
                    name, n_unknown, n_unknown == 1 ? "" : "s", n_unknown == 1 ? "is" : "are",
                    printable(first->name), describe(*first)));
}

/// The config.json in the folder of a checkpoint, for messages.
std::string config_beside(const Checkpoint& checkpoint) {
  const std::span<const TensorInfo> tensors = checkpoint.tensors();
  if (tensors.empty()) return "config.json";
  const std::filesystem::path file(checkpoint.file_name(tensors.front()));
  return printable_path((file.parent_path() / "config.json").string());
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

std::vector<FoundWeight> find_weights(const ModelSpec& spec, const Checkpoint& checkpoint,
                                      std::string_view name, std::vector<std::string>& warnings) {
  warnings.insert(warnings.end(), checkpoint.warnings().begin(), checkpoint.warnings().end());
  const QuantizationConfig quantization(spec.quantization_block, config_beside(checkpoint));
  std::vector<FoundWeight> found;
  for (WeightSlot& slot : weight_slots(spec)) {
    auto source = find_slot(slot, spec, checkpoint, name);
    if (!source) continue;
    quantization.check(checkpoint, *source);
    source->desc = with_matrix_shape(source->desc, slot);
    found.push_back({std::move(slot), std::move(*source)});
  }
  warn_of_unknown_tensors(spec, checkpoint, name, found, warnings);
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
          .biases_end = found.slot.biases_end,
          .desc = found.loaded()};
}

ReadWeight reader_of(const Checkpoint& checkpoint) {
  return [&checkpoint](const FoundWeight& found, LoadedWeight& into) {
    const WeightSource& source = found.source;
    if (!found.quantize) return load_weight(checkpoint, source, into);
    return quantize(source.desc, *found.quantize, dense_reader(checkpoint, source), into);
  };
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

void pack_made_weights(const ModelSpec& spec, std::int64_t n_positions, Backend& backend,
                       Weights& weights) {
  for (const UnitNorm& norm : unit_norms(spec)) {
    const std::vector<float> ones(static_cast<std::size_t>(norm.desc.cols), 1.0F);
    weights.set(norm.key, backend.pack(norm.desc, {.data = std::as_bytes(std::span(ones))}));
  }
  for (const RotarySpec& rotary : rotary_specs(spec)) {
    const std::vector<float> table = rotary_table(rotary, n_positions);
    weights.set_rotary(rotary, backend.pack(rotary_desc(rotary, n_positions),
                                            {.data = std::as_bytes(std::span(table))}));
  }
}

}  // namespace bitaxon
