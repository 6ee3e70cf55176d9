// Limits of one step.
#pragma once

#include <cstdint>

namespace bitaxon {

/// Most rows (tokens) of one step, and with it the largest prefill chunk.
inline constexpr std::int32_t kMaxRows = 512;
/// Most segments (sequences) of one step.
inline constexpr std::int32_t kMaxSegments = 32;

}  // namespace bitaxon
