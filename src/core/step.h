// The step buffer. The host fills it, and kernels of a GPU read the same bytes.
#pragma once

#include <cstddef>
#include <span>
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
static_assert(std::is_trivially_copyable_v<StepHeader>);
static_assert(sizeof(SegmentWords) == 88);
static_assert(sizeof(StepHeader) == 16 + kMaxSegments * sizeof(SegmentWords) + 2 * kMaxRows * 4);

inline constexpr std::int64_t kPageRows = BX_PAGE_ROWS;

/// The page that holds page number `n` of a segment's sequence, in a group of state tensors.
inline std::uint32_t page_of(const StepBuffer& step, const SegmentWords& segment,
                             std::uint32_t group, std::uint32_t n) {
  return step.pages[step.pages[segment.tables + group] + n];
}

/// A step of one row that keeps no state, for graphs that read no rows.
inline StepBuffer single_row_step() {
  StepBuffer step;
  step.n_rows = step.n_segments = 1;
  step.segments[0].n_rows = 1;
  step.segments[0].keeps_state = 0;
  return step;
}

/// Appends the tables of one segment to a step buffer.
class TableWriter {
 public:
  TableWriter(StepBuffer& step, SegmentWords& segment, std::size_t n_groups)
      : step_(step), tables_(step.pages.size()) {
    segment.tables = static_cast<std::uint32_t>(tables_);
    step.pages.resize(tables_ + n_groups);
  }
  /// Sets the pages of one group. `first` is the page number of the first page.
  void set(std::size_t group, std::int64_t first, std::span<const std::uint32_t> pages) {
    step_.pages[tables_ + group] =
        static_cast<std::uint32_t>(static_cast<std::int64_t>(step_.pages.size()) - first);
    step_.pages.insert(step_.pages.end(), pages.begin(), pages.end());
  }

 private:
  StepBuffer& step_;
  std::size_t tables_;
};

}  // namespace bitaxon
