// Offsets of the rows of a step in the ring buffer of the KV cache (keys or values).
#pragma once

#include <cstdint>

#include "cpu/kernel.h"

namespace bitaxon::cpu {

/// The element offset of each row in operand `ring`, from the first byte of the ring tensor.
/// places  [R]
inline void find_ring_places(const KernelArgs& args, int ring, std::int64_t* places) {
  const View& view = args.view(ring);
  const std::int64_t capacity = view.shape[0];
  const auto slot_stride = static_cast<std::int64_t>(view.slot_stride_bytes / size_of(view.dtype));
  for (const SegmentWords& segment : args.segments())
    for (std::uint32_t i = 0; i < segment.n_rows; ++i)
      places[segment.first_row + i] =
          segment.slot * slot_stride +
          (static_cast<std::int64_t>(segment.position) + i) % capacity * view.shape[1];
}

}  // namespace bitaxon::cpu
