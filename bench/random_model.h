// Model directories with random weights, for measuring untrained models.
#pragma once

#include <cstdint>
#include <filesystem>

#include "model/families/bit_axon.h"

namespace bitaxon::bench {

enum class ModelFormat : std::uint8_t { f16, q4, nf4 };

/// Writes config.json and model.safetensors into `folder`, which is created if necessary. Each file
/// appears under its name only when it is complete. Tensors that upstream quantizes become random
/// 4-bit codes in groups of 64, including a head separate from the embedding; the others are F16.
/// Magnitudes keep activations near one. The same seed gives the same bytes on every machine.
/// Returns the bytes of the data in model.safetensors. Throws Error(io).
std::uint64_t write_random_model(const BitAxonConfig& config, ModelFormat format,
                                 std::uint64_t seed, const std::filesystem::path& folder);

}  // namespace bitaxon::bench
