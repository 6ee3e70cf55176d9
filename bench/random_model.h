// Model directories of random weights, for measuring models that nobody has trained.
#pragma once

#include <cstdint>
#include <filesystem>

#include "bitaxon/config.h"

namespace bitaxon::bench {

enum class ModelFormat : std::uint8_t { f16, q4, nf4 };

/// Writes config.json and model.safetensors into `folder`, which is made where it does not exist;
/// each file appears under its name when it is complete. The tensors that upstream quantizes are
/// random codes of 4 bits in groups of 64, a head beside the embedding included; the others are
/// F16. Magnitudes keep activations near one. The same seed gives the same bytes on every machine.
/// Returns the size of model.safetensors' data. Throws Error(io).
std::uint64_t write_random_model(const Config& config, ModelFormat format, std::uint64_t seed,
                                 const std::filesystem::path& folder);

}  // namespace bitaxon::bench
