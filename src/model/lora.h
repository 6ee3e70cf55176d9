// LoRA and DoRA adapters, and how they change weights.
// Sources: Hu et al. 2021, "LoRA"; Liu et al. 2024, "DoRA".
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "formats/safetensors.h"
#include "model/adapter_config.h"
#include "model/model_writer.h"

namespace bitaxon {

/// The adapter of one matrix: W' = W + scale * up * down. With magnitudes (DoRA), row i of W' is then
/// scaled to the length magnitudes[i].
struct LoraLayer {
  std::string path;  ///< the layer's name in the adapter, for messages
  std::int64_t n_in = 0, n_out = 0, rank = 0;
  double scale = 0;
  std::vector<float> down = {};        ///< [rank, n_in]
  std::vector<float> up = {};          ///< [n_out, rank]
  std::vector<float> magnitudes = {};  ///< [n_out]; empty for LoRA
};

/// The adapted matrices of one weight. The key is the index of the matrix in a stack of experts, and
/// 0 for a weight that is one matrix.
using LoraLayers = std::map<std::int64_t, LoraLayer>;

struct Adapter {
  std::map<std::string, LoraLayers> weights;  ///< the key is the name of the weight's slot
};

/// Reads an adapter for the weights of a model. Every matrix of the model can be adapted. Adds one
/// warning for all tensors that hold no floats, such as a step counter. Throws Error(format) that
/// names the tensor if the model has no such matrix, if a tensor of the layer is missing, if a shape
/// does not fit, or if a number is not finite. Throws Error(unsupported) for an adapter of an
/// embedding that cannot be folded into it.
Adapter read_adapter(const Checkpoint& file, AdapterLayout layout, const AdapterConfig& config,
                     const std::vector<FoundWeight>& weights, std::vector<std::string>& warnings);

/// Reads the adapter that a user names by `path`, as find_adapter() finds it. `scale` replaces the
/// factor of all layers. `base` is the base_hash() of the model: a warning says if the adapter was
/// trained on another one. Throws as find_adapter(), read_adapter_config() and read_adapter() do.
Adapter read_named_adapter(const std::filesystem::path& path, std::optional<double> scale,
                           const std::string& base, const std::vector<FoundWeight>& weights,
                           std::vector<std::string>& warnings);

/// The change that an adapter makes to rows of its weight, computed in float64. Each matrix has
/// `n_rows` rows. Rows are counted from the first row of the matrix `first_matrix`. `layers` must
/// outlive the returned function.
ChangeRows change_of(const LoraLayers& layers, std::int64_t n_rows, std::int64_t first_matrix = 0);

}  // namespace bitaxon
