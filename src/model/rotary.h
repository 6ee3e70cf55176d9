// The table of rotary position embeddings.
#pragma once

#include <cstdint>
#include <vector>

#include "bitaxon/model_spec.h"
#include "formats/weight_format.h"

namespace bitaxon {

/// The cosines and sines by which positions 0 to n_positions - 1 rotate a head, as attn_in reads
/// them: [n_positions, n_dims / 2, 2], (cos, sin) of position * frequency i, times the attention
/// factor. Computed in float64 and rounded once. Throws Error(invalid_argument) that names the
/// field if a field of the description is out of range.
/// Sources  Su et al. 2021, "RoFormer", section 3.4.2; Peng et al. 2023, "YaRN", section 3.
std::vector<float> rotary_table(const RotarySpec& spec, std::int64_t n_positions);

/// The different descriptions of rotation that the blocks of a model have.
std::vector<RotarySpec> rotary_specs(const ModelSpec& spec);
/// The description of the weight that holds a rotary table.
WeightDesc rotary_desc(const RotarySpec& spec, std::int64_t n_positions);

}  // namespace bitaxon
