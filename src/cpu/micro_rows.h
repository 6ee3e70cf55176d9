// The numbers of a row that its masks of dropout are drawn from.
#pragma once

#include <cstdint>

#include "core/step.h"

namespace bitaxon::cpu {

struct MicroRow {
  std::uint32_t batch = 0;  ///< SegmentWords::micro_batch
  std::uint32_t row = 0;    ///< the row of the micro-batch
};

/// The numbers of row r of a step.
inline MicroRow micro_row(const StepBuffer& step, std::int64_t r) {
  const auto row = static_cast<std::uint32_t>(r);
  std::uint32_t g = 0;
  while (row - step.segments[g].first_row >= step.segments[g].n_rows) ++g;
  const SegmentWords& segment = step.segments[g];
  return {segment.micro_batch, segment.micro_row + row - segment.first_row + segment.position};
}

}  // namespace bitaxon::cpu
