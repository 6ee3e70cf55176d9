// Decides where a recording needs barriers. The decision depends only on the memory that each
// launch reads and writes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/graph.h"

namespace bitaxon::vulkan {

/// A range of memory that one launch accesses. `memory` is a number that identifies the buffer.
struct MemoryAccess {
  std::uint64_t memory = 0;
  std::size_t offset_bytes = 0;
  std::size_t size_bytes = 0;
  Access access = Access::read;
};

/// Remembers the accesses since the last barrier. Earlier accesses do not matter, because a barrier
/// makes everything after it wait for everything before it.
class HazardTracker {
 public:
  /// Whether a launch with these accesses needs a barrier before it. This is so if one of its
  /// ranges overlaps a range that was accessed since the last barrier, and at least one of the two
  /// accesses writes. Remembers the accesses for the next calls.
  bool needs_barrier(std::span<const MemoryAccess> accesses);

 private:
  std::vector<MemoryAccess> since_barrier_;
};

}  // namespace bitaxon::vulkan
