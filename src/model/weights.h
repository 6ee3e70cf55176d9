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
#include "formats/safetensors.h"
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

/// A slot and where its tensor lies in a checkpoint, with the model's matrix shape in desc.
struct FoundWeight {
  WeightSlot slot;
  WeightSource source;
};

/// Finds every tensor of the model before anything is packed, in the model's order; a head that the
/// tied embedding stands in for is left out. Tensors the model does not know become one warning.
/// `name` begins messages. Throws Error(format) for a missing or wrongly shaped tensor, with both
/// shapes.
std::vector<FoundWeight> find_weights(const Config& config, const Checkpoint& checkpoint,
                                      std::string_view name, Weights& weights,
                                      std::vector<std::string>& warnings);

using LoadProgress = std::function<void(std::uint64_t done_bytes, std::uint64_t total_bytes)>;

/// Reads and packs what find_weights found, in file order through one staging buffer, into the same
/// `weights`, and takes their fingerprint.
void pack_weights(const std::vector<FoundWeight>& found, const Config& config,
                  const Checkpoint& checkpoint, Backend& backend, const LoadProgress& on_progress,
                  Weights& weights);

/// Whether the embedding may stand in for this slot: the head of a tied model.
bool is_tied_head(const Config& config, const WeightSlot& slot);

/// SplitMix64's output function: a well-mixed number for every counter, cheap enough to fill
/// gigabytes in seconds. Source: Steele, Lea & Flood 2014, "Fast splittable pseudorandom number
/// generators".
constexpr std::uint64_t mix64(std::uint64_t counter) {
  std::uint64_t z = (counter + 1) * 0x9E3779B97F4A7C15U;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9U;
  z = (z ^ z >> 27) * 0x94D049BB133111EBU;
  return z ^ z >> 31;
}

struct ValueRange {
  double low, high;
};

/// Ranges that keep a random model alive: unit-variance products, decays and time steps spread over
/// what a trained model uses.
ValueRange random_range(const WeightSlot& slot);

/// How random_weights stores a slot: matrices in float16, the rest in float32.
WeightDesc random_weight_desc(const WeightSlot& slot);

/// The tensors of random weights, as find_weights finds those of a checkpoint; they lie nowhere.
std::vector<FoundWeight> random_found(const Config& config, Weights& weights);

/// Random weights from a seed, scaled so that activations stay near one. The same seed gives the
/// same model on every machine.
Weights random_weights(const Config& config, std::uint64_t seed, Backend& backend,
                       const LoadProgress& on_progress);

}  // namespace bitaxon
