// The weights of a model: which there are, and how they get from a checkpoint to a backend.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bitaxon/model_spec.h"
#include "bitaxon/shape.h"
#include "core/backend.h"
#include "formats/quantize.h"
#include "formats/safetensors.h"
#include "formats/stored_weight.h"
#include "formats/weight_source.h"

namespace bitaxon {

using WeightRef = std::shared_ptr<const Weight>;

/// The weights of a model, packed by a backend.
class Weights {
 public:
  void set(const WeightKey& key, WeightRef weight) { refs_[key] = std::move(weight); }
  /// Null where the model has none. A tied head is the embedding.
  WeightRef find(const WeightKey& key) const;

  /// A hash of configuration, formats and contents. A state fits only models with the same hash.
  std::uint64_t fingerprint = 0;

 private:
  std::map<WeightKey, WeightRef> refs_;
};

/// How a weight is stored and read.
enum class WeightRole : std::uint8_t {
  vector,   ///< [n], floats
  table,    ///< [rows, cols], floats: a few values for each channel
  taps,     ///< [channels, taps, 1], floats: of a convolution
  matrix,   ///< [rows, cols], may be quantized
  experts,  ///< [n, rows, cols], may be quantized; a token reads a few of the n
};

/// A tensor the model wants: its names in a checkpoint, and its shape there.
struct WeightSlot {
  WeightKey key;
  WeightRole role = WeightRole::matrix;
  std::vector<std::string> names;  ///< accepted ones; files are written with the first
  Shape shape;                     ///< as stored
  std::int64_t chosen_of = 0;      ///< experts: how many of the matrices a token reads; else 0

  const std::string& name() const { return names.front(); }
  bool may_be_quantized() const {
    return role == WeightRole::matrix || role == WeightRole::experts;
  }
};

/// Every weight of the model, the head included, in the model's order.
std::vector<WeightSlot> weight_slots(const ModelSpec& spec);

/// [n_matrices, rows, cols] of a slot: a vector is one row, taps are a matrix.
Shape matrix_shape(const WeightSlot& slot);
WeightDesc with_matrix_shape(WeightDesc desc, const WeightSlot& slot);

/// A slot and where its tensor lies in a checkpoint, with the model's matrix shape in desc.
struct FoundWeight {
  WeightSlot slot;
  WeightSource source;
  std::optional<Quantization> quantize = {};  ///< while it is read

  /// Bytes of its tensors in the file; 0 for a head that the embedding stands in for.
  std::uint64_t stored_bytes() const;
  /// As a backend gets it (but for a nested_offset).
  WeightDesc loaded() const {
    return quantize ? quantized_desc(source.desc, *quantize) : source.desc;
  }
};

/// How a found weight is written after it was read.
StoredWeight stored_weight(const FoundWeight& found);

/// Has every matrix that can be made four bits made so while it is read: the experts' and the head
/// included, never the embedding, whose stand-in for a missing head becomes a head of its own (as
/// upstream does it). `name` begins messages. Throws Error(unsupported) that names a tensor that is
/// quantized already.
void quantize_found(const ModelSpec& spec, const Quantization& how, std::string_view name,
                    std::vector<FoundWeight>& found);

/// Reads one weight in the form in which it is loaded. Returns its description.
using ReadWeight = std::function<WeightDesc(const FoundWeight& found, LoadedWeight& into)>;
ReadWeight reader_of(const Checkpoint& checkpoint);

/// The part of the model that a weight belongs to: "embedding", "head", "bridge", "ssm",
/// "attention", "experts", "shared expert", "router", "norms".
std::string_view part_of(WeightId id);

/// Finds every tensor of the model before anything is packed, in the model's order; a head that the
/// tied embedding stands in for is left out. Tensors the model does not know become one warning.
/// `name` begins messages. Throws Error(format) for a missing or wrongly shaped tensor, with both
/// shapes.
std::vector<FoundWeight> find_weights(const ModelSpec& spec, const Checkpoint& checkpoint,
                                      std::string_view name, std::vector<std::string>& warnings);

using LoadProgress = std::function<void(std::uint64_t done_bytes, std::uint64_t total_bytes)>;

/// Reads and packs what was found, in file order through one staging buffer, and takes the
/// fingerprint.
Weights pack_weights(const std::vector<FoundWeight>& found, const ModelSpec& spec,
                     const ReadWeight& read, Backend& backend, const LoadProgress& on_progress);

/// Whether the embedding may stand in for this slot: the head of a tied model.
bool is_tied_head(const ModelSpec& spec, const WeightSlot& slot);

}  // namespace bitaxon
