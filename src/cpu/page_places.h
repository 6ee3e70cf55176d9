// Computes where the rows of a step lie in the pages of the KV cache (keys or values).
#pragma once

#include <cstdint>

#include "cpu/kernel.h"

namespace bitaxon::cpu {

/// Computes the offset of each row in operand `pages`, in elements from the beginning of the tensor.
/// places  [R]: receives the offsets
inline void find_places(const KernelArgs& args, int pages, std::int64_t* places) {
  for (const SegmentWords& segment : args.segments()) {
    const PageRows rows = args.pages(pages, segment);
    for (std::uint32_t i = 0; i < segment.n_rows; ++i)
      places[segment.first_row + i] = rows.at(std::int64_t{segment.position} + i);
  }
}

}  // namespace bitaxon::cpu
