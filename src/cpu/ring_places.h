// Computes where the rows of a step lie in a ring buffer of the KV cache (keys or values).
#pragma once

#include <cstdint>

#include "cpu/kernel.h"

namespace bitaxon::cpu {

/// Computes the offset of each row in operand `ring`, in elements from the beginning of the tensor.
/// places  [R]: receives the offsets
inline void find_ring_places(const KernelArgs& args, int ring, std::int64_t* places) {
  const Shape& shape = args.shape(ring);
  const auto slot_stride = static_cast<std::int64_t>(args.memory(ring).slot_stride_bytes /
                                                     size_of(args.value(ring).dtype));
  for (const SegmentWords& segment : args.segments())
    for (std::uint32_t i = 0; i < segment.n_rows; ++i)
      places[segment.first_row + i] =
          segment.slot * slot_stride +
          (static_cast<std::int64_t>(segment.position) + i) % shape[0] * shape[1];
}

}  // namespace bitaxon::cpu
