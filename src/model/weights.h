// The weights of a model: lists them, finds them in a checkpoint, and packs them on a backend.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bitaxon/model_spec.h"
#include "bitaxon/shape.h"
#include "core/backend.h"
#include "formats/load_weight.h"
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
  /// The weight with this key. Null if the model has no such weight. For a tied head, the
  /// embedding.
  WeightRef find(const WeightKey& key) const;

  void set_rotary(const RotarySpec& spec, WeightRef table) {
    rotary_.emplace_back(spec, std::move(table));
  }
  /// The rotary table of blocks with this description.
  WeightRef rotary(const RotarySpec& spec) const;

  /// A hash of configuration, formats and contents. A saved state fits only models with the same
  /// hash.
  std::uint64_t fingerprint = 0;

 private:
  std::map<WeightKey, WeightRef> refs_;
  std::vector<std::pair<RotarySpec, WeightRef>> rotary_;
};

/// How a weight is stored and read.
enum class WeightRole : std::uint8_t {
  vector,   ///< [n], floats
  table,    ///< [rows, cols], floats: a few values for each channel
  taps,     ///< [channels, taps, 1], floats: taps of a convolution
  matrix,   ///< [rows, cols], may be quantized
  experts,  ///< [n, rows, cols], may be quantized; a token reads a few of the n
};

/// A tensor that the model needs: its names and its shape in a checkpoint.
struct WeightSlot {
  WeightKey key;
  WeightRole role = WeightRole::matrix;
  std::vector<std::string> names;  ///< accepted names; files are written with the first name
  Shape shape;                     ///< the stored shape
  std::int64_t chosen_of = 0;      ///< matrices that a token reads of a stack of experts; else 0
  std::string_view biases_end = ".biases";  ///< StoredWeight::biases_end

  const std::string& name() const { return names.front(); }
  bool may_be_quantized() const {
    return role == WeightRole::matrix || role == WeightRole::experts;
  }
};

/// Every weight of the model, the head included, in the model's order.
std::vector<WeightSlot> weight_slots(const ModelSpec& spec);

/// A vector of ones that is the weight of a norm. No checkpoint has it.
struct UnitNorm {
  WeightKey key;
  WeightDesc desc;  ///< F32
};
/// The weights of the norms that have none in a checkpoint.
std::vector<UnitNorm> unit_norms(const ModelSpec& spec);

/// The shape [n_matrices, rows, cols] of a slot. A vector is one row, and taps are a matrix.
Shape matrix_shape(const WeightSlot& slot);
/// `desc` with the matrix shape of the slot.
WeightDesc with_matrix_shape(WeightDesc desc, const WeightSlot& slot);

/// A slot, and the place of its tensor in a checkpoint. `source.desc` has the slot's matrix shape.
struct FoundWeight {
  WeightSlot slot;
  WeightSource source;
  std::optional<Quantization> quantize = {};  ///< how to quantize the weight while it is read

  /// Bytes of the weight's tensors in the file; 0 for a head that the embedding replaces.
  std::uint64_t stored_bytes() const;
  /// The description of the weight as a backend gets it, except for nested_offset.
  WeightDesc loaded() const {
    return quantize ? quantized_desc(source.desc, *quantize) : loaded_form(source.desc);
  }
};

/// The form in which a found weight is written after it was read.
StoredWeight stored_weight(const FoundWeight& found);

/// Reads one weight into `into`, in the form in which it is loaded. Returns the description of that
/// form.
using ReadWeight = std::function<WeightDesc(const FoundWeight& found, LoadedWeight& into)>;
ReadWeight reader_of(const Checkpoint& checkpoint);

/// The part of the model that a weight belongs to: "embedding", "head", "bridge", "ssm",
/// "attention", "mlp", "experts", "shared expert", "router", "norms".
std::string_view part_of(WeightId id);

/// Finds every tensor of the model before anything is packed. The result is in the model's order,
/// without a head that the tied embedding replaces. Adds one warning for all tensors that the model
/// does not know. `name` begins messages. Throws Error(format) for a missing tensor and for a
/// tensor of the wrong shape. The latter message names both shapes.
std::vector<FoundWeight> find_weights(const ModelSpec& spec, const Checkpoint& checkpoint,
                                      std::string_view name, std::vector<std::string>& warnings);

using LoadProgress = std::function<void(std::uint64_t done_bytes, std::uint64_t total_bytes)>;

/// Reads and packs the found weights, in file order and through one staging buffer. Computes the
/// fingerprint.
Weights pack_weights(const std::vector<FoundWeight>& found, const ModelSpec& spec,
                     const ReadWeight& read, Backend& backend, const LoadProgress& on_progress);

/// Packs the weights that no checkpoint has: norms of ones, and rotary tables for `n_positions`
/// positions.
void pack_made_weights(const ModelSpec& spec, std::int64_t n_positions, Backend& backend,
                       Weights& weights);

/// Whether this slot is the head of a tied model. Then the embedding may replace its weight.
bool is_tied_head(const ModelSpec& spec, const WeightSlot& slot);

}  // namespace bitaxon
