#include "vulkan/run/hazard_tracker.h"

#include <algorithm>

namespace bitaxon::vulkan {
namespace {

bool conflict(const MemoryAccess& a, const MemoryAccess& b) {
  if (a.access == Access::read && b.access == Access::read) return false;
  return a.memory == b.memory && a.offset_bytes < b.offset_bytes + b.size_bytes &&
         b.offset_bytes < a.offset_bytes + a.size_bytes;
}

}  // namespace

bool HazardTracker::needs_barrier(std::span<const MemoryAccess> accesses) {
  const bool needed = std::ranges::any_of(accesses, [&](const MemoryAccess& next) {
    return std::ranges::any_of(since_barrier_,
                               [&](const MemoryAccess& before) { return conflict(before, next); });
  });
  if (needed) since_barrier_.clear();
  since_barrier_.insert(since_barrier_.end(), accesses.begin(), accesses.end());
  return needed;
}

}  // namespace bitaxon::vulkan
