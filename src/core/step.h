// The step buffer. The host fills it, and kernels of a GPU read the same bytes.
#pragma once

#include <cstddef>
#include <type_traits>

#include "bitaxon/backend.h"
#include "bitaxon/step_limits.h"
#include "shaders/params/step.h"

namespace bitaxon {

/// The most steps in flight: the steps that run ahead, and the step that is waited for.
inline constexpr std::size_t kMaxInFlight = kMaxRunAhead + 1;

static_assert(kMaxRows == BX_MAX_ROWS && kMaxSegments == BX_MAX_SEGMENTS);
static_assert(StepResult::kNotFinite == BX_TOKEN_NOT_FINITE &&
              StepResult::kNotSampled == BX_TOKEN_NOT_SAMPLED);
static_assert(std::is_trivially_copyable_v<StepBuffer>);
static_assert(sizeof(SegmentWords) == 72);
static_assert(sizeof(StepBuffer) == 12 + kMaxSegments * sizeof(SegmentWords) + 2 * kMaxRows * 4);

}  // namespace bitaxon
