// The weights of a model: which there are, and how they get from a checkpoint to a backend.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bitaxon/backend.h"
#include "bitaxon/config.h"
#include "bitaxon/shape.h"
#include "formats/quantize.h"
#include "formats/safetensors.h"
#include "formats/stored_weight.h"
#include "formats/weight_source.h"

namespace bitaxon {

using WeightRef = std::shared_ptr<const Weight>;

struct SsmWeights {
  WeightRef in_proj;      ///< [2E, D]
  WeightRef conv_weight;  ///< [E, K]
  WeightRef conv_bias;    ///< [E]
  WeightRef x_proj;       ///< [2N + 1, E]
  WeightRef dt_weight;    ///< [E, 1]
  WeightRef dt_bias;      ///< [E]
  WeightRef a_log;        ///< [E, N]
  WeightRef skip;         ///< [E]
  WeightRef out_proj;     ///< [D, E]
};

struct SwaWeights {
  WeightRef q_proj, k_proj, v_proj, o_proj;  ///< [D, D]
};

struct MoeWeights {
  WeightRef norm;                ///< [D], post_attention_norm or post_ssm_norm
  WeightRef gate;                ///< [X, D], the router
  WeightRef gate_proj, up_proj;  ///< [X, I, D]
  WeightRef down_proj;           ///< [X, D, I]
  // The shared expert; empty without one.
  WeightRef shared_expert_gate;                ///< [1, D]
  WeightRef shared_gate_proj, shared_up_proj;  ///< [I, D]
  WeightRef shared_down_proj;                  ///< [D, I]
};

struct LayerWeights {
  LayerKind kind = LayerKind::ssm;
  WeightRef input_norm;  ///< [D]
  SsmWeights ssm;        ///< ssm and ssm_moe layers
  SwaWeights swa;        ///< swa_moe layers
  MoeWeights moe;        ///< swa_moe and ssm_moe layers
};

struct Weights {
  WeightRef embed_tokens;  ///< [V, S]
  WeightRef input_proj;    ///< [D, S]
  WeightRef output_proj;   ///< [S, D]
  WeightRef lm_head;       ///< [V, S]; the embedding itself where the file has none
  std::vector<LayerWeights> layers;
  /// Of configuration, formats and contents. A state belongs to the model with the same one.
  std::uint64_t fingerprint = 0;
};

/// A tensor the model wants: its name in a checkpoint, its shape there, and where it goes.
struct WeightSlot {
  std::string name;
  Shape shape;                 ///< as stored: [cols], [rows, cols], [n_matrices, rows, cols]
  bool quantizable = false;    ///< may be stored in 4 bits
  std::int64_t chosen_of = 0;  ///< expert stacks: how many of the matrices a token reads; else 0
  WeightRef* target = nullptr;
};

/// Every tensor of the model, the head included, in the model's order. Sizes `weights.layers`; the
/// slots point into `weights`.
std::vector<WeightSlot> weight_slots(const Config& config, Weights& weights);

/// [n_matrices, rows, cols] of a slot: vectors are one row, a convolution's last axis (of 1) goes.
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
void quantize_found(const Config& config, const Quantization& how, std::string_view name,
                    Weights& weights, std::vector<FoundWeight>& found);

/// Reads one weight in the form in which it is loaded. Returns its description.
using ReadWeight = std::function<WeightDesc(const FoundWeight& found, LoadedWeight& into)>;
ReadWeight reader_of(const Checkpoint& checkpoint);

/// The part of the model that a tensor belongs to: "embedding", "head", "bridge", "ssm",
/// "attention", "experts", "shared expert", "router", "norms".
std::string_view part_of(std::string_view tensor_name);

/// Finds every tensor of the model before anything is packed, in the model's order; a head that the
/// tied embedding stands in for is left out. Tensors the model does not know become one warning.
/// `name` begins messages. Throws Error(format) for a missing or wrongly shaped tensor, with both
/// shapes.
std::vector<FoundWeight> find_weights(const Config& config, const Checkpoint& checkpoint,
                                      std::string_view name, Weights& weights,
                                      std::vector<std::string>& warnings);

using LoadProgress = std::function<void(std::uint64_t done_bytes, std::uint64_t total_bytes)>;

/// Reads and packs what was found, in file order through one staging buffer, into the same
/// `weights`, and takes their fingerprint.
void pack_weights(const std::vector<FoundWeight>& found, const Config& config,
                  const ReadWeight& read, Backend& backend, const LoadProgress& on_progress,
                  Weights& weights);

/// Whether the embedding may stand in for this slot: the head of a tied model.
bool is_tied_head(const Config& config, const WeightSlot& slot);

}  // namespace bitaxon
