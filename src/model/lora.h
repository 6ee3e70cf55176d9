// LoRA and DoRA adapters, folded into the weights that they adapt.
// Sources: Hu et al. 2021, "LoRA"; Liu et al. 2024, "DoRA".
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "formats/safetensors.h"
#include "model/model_writer.h"

namespace bitaxon {

/// The adapter of one linear layer. W' = W + scale * (a b)^T; with magnitudes each row of that is
/// brought to the length m.
struct LoraLayer {
  std::int64_t n_in = 0, n_out = 0, rank = 0;
  std::vector<float> a;  ///< [n_in, rank]
  std::vector<float> b;  ///< [rank, n_out]
  std::vector<float> m;  ///< [n_out]; empty: LoRA
};

struct Adapter {
  std::map<std::string, LoraLayer> layers;  ///< by the name of the weight
  std::int64_t rank = 0;                    ///< the largest
};

/// Reads an adapter for the weights of a model. Tensors that hold no floats, such as a step
/// counter, become one warning. Throws Error(format) that names the tensor: one that belongs to no
/// linear layer that can be adapted, a half of a pair, a shape that does not fit, a number that is
/// not finite; Error(unsupported) for the layouts of other tools.
Adapter read_adapter(const Checkpoint& file, const std::vector<FoundWeight>& weights,
                     std::vector<std::string>& warnings);

/// What the adapter does to rows of its weight, computed in float64. `layer` must outlive it.
ChangeRows change_of(const LoraLayer& layer, double scale);

}  // namespace bitaxon
