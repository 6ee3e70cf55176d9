// Limits of steps, and of the sequences that steps continue.
#pragma once

#include <cstdint>

namespace bitaxon {

/// The most rows (tokens) of one step, which is also the largest prefill chunk.
inline constexpr std::int32_t kMaxRows = 512;
/// The most segments (sequences) of one step.
inline constexpr std::int32_t kMaxSegments = 32;
/// The most states of a model that can exist at the same time.
inline constexpr std::int32_t kMaxSlots = 4096;
/// The most steps that may be submitted ahead of the step that is waited for.
inline constexpr std::int32_t kMaxRunAhead = 8;

}  // namespace bitaxon
