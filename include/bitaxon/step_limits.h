// Limits of one step, and of the sequences that steps continue.
#pragma once

#include <cstdint>

namespace bitaxon {

/// Most rows (tokens) of one step, and with it the largest prefill chunk.
inline constexpr std::int32_t kMaxRows = 512;
/// Most segments (sequences) of one step.
inline constexpr std::int32_t kMaxSegments = 32;
/// Most states of a model that exist at the same time. They need not all be in one step.
inline constexpr std::int32_t kMaxSlots = 4096;
/// Most steps that are submitted before the oldest is waited for.
inline constexpr std::int32_t kMaxRunAhead = 8;

}  // namespace bitaxon
