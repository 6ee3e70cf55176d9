#include "vulkan/run/recording.h"

#include <gtest/gtest.h>

namespace bitaxon::vulkan {
namespace {

constexpr StepSizes kSizes{.n_rows = 5, .n_segments = 2, .n_outputs = 3};

using Groups = std::array<std::uint32_t, 3>;

TEST(GroupsOf, FixedAxesIgnoreRowsAndSegments) {
  Launch launch;
  EXPECT_EQ(groups_of(launch, kSizes), (Groups{1, 1, 1}));
  launch.grid = {GridAxis{.count = 7}, GridAxis{.count = 3}, GridAxis{.count = 2}};
  EXPECT_EQ(groups_of(launch, kSizes), (Groups{7, 3, 2}));
}

TEST(GroupsOf, CountRowsSegmentsAndOutputs) {
  Launch launch;
  launch.grid = {GridAxis{.count = 10}, GridAxis{.per = RowSpace::rows},
                 GridAxis{.count = 3, .per = RowSpace::segments}};
  EXPECT_EQ(groups_of(launch, kSizes), (Groups{10, 5, 6}));
  launch.grid[0] = {.count = 4, .per = RowSpace::outputs};
  EXPECT_EQ(groups_of(launch, kSizes), (Groups{12, 5, 6}));
}

TEST(GroupsOf, TheLastGroupMayBePartlyFilled) {
  Launch launch;
  launch.grid[0] = {.count = 2, .per = RowSpace::rows, .rows_per_group = 16};
  for (const auto& [rows, groups] : {std::pair{1U, 2U}, {16U, 2U}, {17U, 4U}, {32U, 4U}, {33U, 6U}})
    EXPECT_EQ(groups_of(launch, {.n_rows = rows})[0], groups) << rows;
}

TEST(BoundLaunch, VariesIfItsGridDependsOnTheStep) {
  BoundLaunch launch;
  EXPECT_FALSE(launch.varies());
  launch.launch.grid[2].per = RowSpace::segments;
  EXPECT_TRUE(launch.varies());
}

}  // namespace
}  // namespace bitaxon::vulkan
