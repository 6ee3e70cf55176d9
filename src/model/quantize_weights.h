// Which weights of a model get codes.
//
// For Bit-Axon, as the original program does: every matrix that divides into groups, but not the
// embedding. If the embedding replaces a missing head, a separate head gets codes.
// For the other families, in the layout of MLX, as mlx-lm does: every matrix that divides into
// groups, the embedding included, which is then also the tied head. Routers get 8 bits in groups
// of 64. In the layout of bitsandbytes, so that transformers loads it: every matrix except
// embedding, head, routers and dt_proj.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "model/weights.h"

namespace bitaxon {

/// How one weight is quantized. `dense` describes the weight. Empty if the weight keeps floats.
std::optional<Quantization> quantization_of(const ModelSpec& spec, const WeightSlot& slot,
                                            const WeightDesc& dense, const Quantization& how);

/// Whether a tied head becomes a weight of its own when the model is quantized.
bool has_separate_head(const ModelSpec& spec, const WeightDesc& embedding, const Quantization& how);

/// Marks weights for quantization while they are read, and adds a separate head if there is one.
/// Adds a warning if no weight can be quantized. `name` begins messages. Throws
/// Error(unsupported) that names the tensor if a tensor is already quantized, and
/// Error(invalid_argument) as check_quantization() does.
void quantize_found(const ModelSpec& spec, const Quantization& how, std::string_view name,
                    std::vector<FoundWeight>& found, std::vector<std::string>& warnings);

}  // namespace bitaxon
