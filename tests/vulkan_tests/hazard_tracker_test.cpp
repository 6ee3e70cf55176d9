#include "vulkan/run/hazard_tracker.h"

#include <gtest/gtest.h>

namespace bitaxon::vulkan {
namespace {

/// Passes launches with one access each to a tracker. Returns whether the last launch needs a
/// barrier and no other launch does.
bool last_alone_needs_one(std::initializer_list<MemoryAccess> launches) {
  HazardTracker tracker;
  const MemoryAccess* last = launches.end() - 1;
  for (const MemoryAccess* launch = launches.begin(); launch != last; ++launch)
    if (tracker.needs_barrier({launch, 1})) return false;
  return tracker.needs_barrier({last, 1});
}

constexpr auto kRead = Access::read;
constexpr auto kWrite = Access::write;
constexpr auto kReadWrite = Access::read_write;

TEST(HazardTracker, NeedsABarrierIfOneOfTwoAccessesWrites) {
  EXPECT_TRUE(last_alone_needs_one({{1, 0, 256, kWrite}, {1, 0, 256, kRead}}));
  EXPECT_TRUE(last_alone_needs_one({{1, 0, 256, kRead}, {1, 0, 256, kWrite}}));
  EXPECT_TRUE(last_alone_needs_one({{1, 0, 256, kWrite}, {1, 0, 256, kWrite}}));
  EXPECT_FALSE(last_alone_needs_one({{1, 0, 256, kRead}, {1, 0, 256, kRead}}));
  for (const Access other : {kRead, kWrite, kReadWrite}) {
    EXPECT_TRUE(last_alone_needs_one({{1, 0, 256, kReadWrite}, {1, 0, 256, other}}));
    EXPECT_TRUE(last_alone_needs_one({{1, 0, 256, other}, {1, 0, 256, kReadWrite}}));
  }
}

TEST(HazardTracker, TheFirstLaunchNeedsNoBarrier) {
  EXPECT_FALSE(HazardTracker().needs_barrier({}));
  EXPECT_FALSE(last_alone_needs_one({{1, 0, 256, kReadWrite}}));
}

TEST(HazardTracker, ALaunchIsNotAHazardToItself) {
  HazardTracker tracker;
  const MemoryAccess both[] = {{1, 0, 256, kRead}, {1, 0, 256, kWrite}};
  EXPECT_FALSE(tracker.needs_barrier(both));
}

TEST(HazardTracker, NeedsABarrierIfRangesOverlapByAByte) {
  EXPECT_TRUE(last_alone_needs_one({{1, 256, 256, kWrite}, {1, 0, 257, kRead}}));
  EXPECT_TRUE(last_alone_needs_one({{1, 256, 256, kWrite}, {1, 511, 4, kRead}}));
  EXPECT_TRUE(last_alone_needs_one({{1, 256, 256, kWrite}, {1, 300, 4, kRead}}));
  EXPECT_TRUE(last_alone_needs_one({{1, 256, 256, kWrite}, {1, 0, 4096, kRead}}));
}

TEST(HazardTracker, NeedsNoBarrierIfRangesDoNotOverlap) {
  // The read range lies before the written range.
  EXPECT_FALSE(last_alone_needs_one({{1, 256, 256, kWrite}, {1, 0, 256, kRead}}));
  // The read range lies directly after the written range.
  EXPECT_FALSE(last_alone_needs_one({{1, 256, 256, kWrite}, {1, 512, 256, kRead}}));
  // The read range lies far behind the written range.
  EXPECT_FALSE(last_alone_needs_one({{1, 256, 256, kWrite}, {1, 1024, 256, kRead}}));
  EXPECT_FALSE(last_alone_needs_one({{1, 0, 256, kWrite}, {2, 0, 256, kRead}}));
}

TEST(HazardTracker, LooksBackToTheLastBarrier) {
  EXPECT_TRUE(last_alone_needs_one(
      {{1, 0, 256, kWrite}, {2, 0, 256, kWrite}, {3, 0, 256, kWrite}, {1, 0, 256, kRead}}));
  HazardTracker tracker;
  const MemoryAccess write = {1, 0, 256, kWrite};
  const MemoryAccess read = {1, 0, 256, kRead};
  EXPECT_FALSE(tracker.needs_barrier({&write, 1}));
  EXPECT_TRUE(tracker.needs_barrier({&read, 1}));
  EXPECT_FALSE(tracker.needs_barrier({&read, 1})) << "the write is before the barrier";
  EXPECT_TRUE(tracker.needs_barrier({&write, 1})) << "the reads are after the barrier";
}

TEST(HazardTracker, ChecksEveryAccessOfALaunch) {
  HazardTracker tracker;
  const MemoryAccess before[] = {{1, 0, 256, kRead}, {1, 256, 256, kRead}, {1, 512, 256, kWrite}};
  const MemoryAccess after[] = {{1, 0, 256, kRead}, {2, 512, 256, kRead}, {1, 512, 4, kRead}};
  EXPECT_FALSE(tracker.needs_barrier(before));
  EXPECT_TRUE(tracker.needs_barrier(after));
}

}  // namespace
}  // namespace bitaxon::vulkan
