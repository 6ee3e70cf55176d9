// LoRA and DoRA adapters, and how they change weights.
// Sources: Hu et al. 2021, "LoRA"; Liu et al. 2024, "DoRA".
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "formats/safetensors.h"
#include "model/model_writer.h"

namespace bitaxon {

/// The adapter of one linear layer: W' = W + scale * (a b)^T. With magnitudes (DoRA), row i of W'
/// is then scaled to the length m[i].
struct LoraLayer {
  std::int64_t n_in = 0, n_out = 0, rank = 0;
  std::vector<float> a;  ///< [n_in, rank]
  std::vector<float> b;  ///< [rank, n_out]
  std::vector<float> m;  ///< [n_out] magnitudes; empty for LoRA
};

struct Adapter {
  std::map<std::string, LoraLayer> layers;  ///< the key is the name of the weight
  std::int64_t rank = 0;                    ///< the largest rank of a layer
};

/// Reads an adapter for the weights of a model. Adds one warning for all tensors that hold no
/// floats, such as a step counter. Throws Error(format) that names the tensor if its layer does not
/// exist or cannot be adapted, if lora_a or lora_b is missing, if a shape does not fit, or if a
/// number is not finite. Throws Error(unsupported) for the layouts of other tools.
Adapter read_adapter(const Checkpoint& file, const std::vector<FoundWeight>& weights,
                     std::vector<std::string>& warnings);

/// The change that the adapter makes to rows of its weight, computed in float64. `layer` must
/// outlive the returned function.
ChangeRows change_of(const LoraLayer& layer, double scale);

}  // namespace bitaxon
