// Decides where a recording needs barriers, from what each launch reads and writes. Knows no
// device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/graph.h"

namespace bitaxon::vulkan {

/// A range of memory that one launch accesses. `memory` names the buffer: any number that is its
/// own.
struct MemoryAccess {
  std::uint64_t memory = 0;
  std::size_t offset_bytes = 0;
  std::size_t size_bytes = 0;
  Access access = Access::read;
};

/// One barrier orders everything before it against everything after it, so that all that came
/// before can be forgotten.
class HazardTracker {
 public:
  /// Whether a barrier has to stand before a launch with these accesses: some range of them meets
  /// one since the last barrier, and one of the two writes. Then remembers the launch.
  bool needs_barrier(std::span<const MemoryAccess> accesses);

 private:
  std::vector<MemoryAccess> since_barrier_;
};

}  // namespace bitaxon::vulkan
