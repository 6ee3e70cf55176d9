// Tests the counts of launches.
#include "gpu_code/launch_counts.h"

#include <gtest/gtest.h>

namespace bitaxon::gpu_code {
namespace {

constexpr std::size_t kBytes = 256;

ListedLaunch launch_of(std::size_t reads, std::size_t writes) {
  ListedLaunch launch;
  launch.accesses = {{0, reads * kBytes, kBytes, Access::read},
                     {0, writes * kBytes, kBytes, Access::write}};
  return launch;
}

TEST(LaunchCounts, IndependentLaunchesShareABarrier) {
  const LaunchCounts counts =
      count_launches({launch_of(0, 1), launch_of(1, 2), launch_of(1, 3), launch_of(3, 4)});
  EXPECT_EQ(counts.dispatches, 4U);
  EXPECT_EQ(counts.barriers, 2U);
  EXPECT_EQ(counts.chain, 3U);
}

TEST(LaunchCounts, AnUnluckyOrderNeedsMoreBarriersThanTheChain) {
  const LaunchCounts counts = count_launches(
      {launch_of(0, 1), launch_of(1, 2), launch_of(2, 3), launch_of(10, 11), launch_of(11, 12)});
  EXPECT_EQ(counts.barriers, 3U);
  EXPECT_EQ(counts.chain, 3U);
}

TEST(LaunchCounts, NoLaunches) { EXPECT_EQ(count_launches({}).chain, 0U); }

}  // namespace
}  // namespace bitaxon::gpu_code
