// Writes model directories with random weights, so that speed can be measured without trained
// models.
#pragma once

#include <cstdint>
#include <filesystem>

#include "model/families/bit_axon.h"

namespace bitaxon::bench {

enum class ModelFormat : std::uint8_t { f16, q4, nf4 };

/// Writes config.json and model.safetensors into `folder`, which is created if necessary. Each file
/// appears under its name only when it is complete. With format q4 or nf4, the tensors that the
/// original Bit-Axon program quantizes become random 4-bit codes in groups of 64. This includes a
/// head that is separate from the embedding. The other tensors are F16. The magnitudes of the
/// weights keep activations near 1. The same seed gives the same bytes on every machine. Returns
/// the number of data bytes in model.safetensors. Throws Error(io).
std::uint64_t write_random_model(const BitAxonConfig& config, ModelFormat format,
                                 std::uint64_t seed, const std::filesystem::path& folder);

}  // namespace bitaxon::bench
