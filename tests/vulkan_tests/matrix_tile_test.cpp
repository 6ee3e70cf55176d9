// Tests of how tiles of products are divided among subgroups, on fabricated devices.
#include "vulkan/kernels/matrix_tile.h"

#include <gtest/gtest.h>

#include <utility>

#include "fabricated.h"
#include "shaders/params/matrix_tile.h"
#include "vulkan/kernels/attention_matrix.h"

namespace bitaxon::vulkan {
namespace {

/// A device with matrix units of this shape and subgroups of this size.
DeviceCaps device_with(MatrixShape shape, std::uint32_t subgroup) {
  DeviceCaps caps = test::plain_device(0, DeviceType::discrete);
  caps.subgroup_size = caps.min_subgroup_size = caps.max_subgroup_size = subgroup;
  caps.matrix_shapes = {shape};
  caps.shader_float16 = caps.memory_model = true;
  caps.max_group_invocations = 1024;
  caps.max_group_size = {1024, 1024, 64};
  caps.max_shared_bytes = 49152;
  return caps;
}

TEST(MatrixTile, EverySubgroupHasWholeFragments) {
  for (const MatrixShape shape : {MatrixShape{16, 16, 16}, {8, 8, 16}, {8, 8, 8}, {16, 8, 16}})
    for (const std::uint32_t subgroup : {8U, 16U, 32U, 64U})
      for (const std::uint32_t rows : {16U, 32U, 64U, 128U})
        for (const std::uint32_t outs : {64U, 128U}) {
          SCOPED_TRACE(testing::Message() << shape.m << 'x' << shape.n << 'x' << shape.k << ", "
                                          << subgroup << " lanes, " << rows << 'x' << outs);
          const auto tile = matrix_tile(device_with(shape, subgroup), rows, outs);
          ASSERT_TRUE(tile.has_value());
          EXPECT_EQ(tile->subgroups % tile->across, 0U);
          EXPECT_EQ(rows % (tile->subgroups / tile->across * shape.m), 0U);
          EXPECT_EQ(outs % (2 * tile->across * shape.n), 0U) << "pairs of weights halve it";
          // Sums pass through the memory of the slices.
          EXPECT_LE(tile->subgroups * shape.m * shape.n * 4, (rows + outs) * BX_MATRIX_STRIDE * 16);
          // Each invocation has the same number of elements of a fragment.
          EXPECT_EQ(shape.m * shape.n % subgroup, 0U);
        }
}

TEST(MatrixTile, KnowsTheDevicesThatTheShadersWereReadOn) {
  const auto wide = matrix_tile(device_with({16, 16, 16}, 32), 128, 128);
  ASSERT_TRUE(wide.has_value());
  EXPECT_EQ(wide->group(), 256U);
  EXPECT_EQ(wide->across, 2U);
  const auto narrow = matrix_tile(device_with({8, 8, 16}, 8), 128, 128);
  ASSERT_TRUE(narrow.has_value());
  EXPECT_EQ(narrow->group(), 512U);
  EXPECT_EQ(narrow->across, 4U);
}

TEST(MatrixTile, TakesTheLargestShape) {
  DeviceCaps caps = device_with({16, 8, 8}, 32);
  caps.matrix_shapes.push_back({16, 16, 16});
  caps.matrix_shapes.push_back({32, 32, 16});  // larger than the shaders can use
  caps.matrix_shapes.push_back({16, 8, 16});
  EXPECT_EQ(matrix_tile(caps, 64, 64)->shape.n, 16U);
}

TEST(MatrixTile, NeedsAKnownSizeOfSubgroups) {
  DeviceCaps caps = device_with({16, 16, 16}, 64);
  caps.min_subgroup_size = 32;
  EXPECT_FALSE(matrix_tile(caps, 64, 64).has_value());
  caps.subgroup_size_control = caps.full_subgroups = true;
  ASSERT_TRUE(matrix_tile(caps, 64, 64).has_value());
  EXPECT_EQ(matrix_tile(caps, 64, 64)->subgroup_size, 32U);
}

/// The parameters of attention with 32 heads of queries, of which 4 share a head of keys.
AttentionPush push_for(std::uint32_t head_dim) {
  AttentionPush push{};
  push.n_heads = 32;
  push.n_kv_heads = 8;
  push.head_dim = head_dim;
  return push;
}

TEST(AttentionBlock, FitsTheDevice) {
  const std::pair<MatrixShape, std::uint32_t> devices[] = {
      {{16, 16, 16}, 32}, {{8, 8, 16}, 8}, {{8, 8, 8}, 8}};
  for (const auto& [shape, subgroup] : devices)
    for (const std::uint32_t head_dim : {32U, 64U, 96U, 128U}) {
      SCOPED_TRACE(testing::Message() << shape.m << 'x' << shape.n << 'x' << shape.k << ", "
                                      << subgroup << " lanes, head " << head_dim);
      const DeviceCaps caps = device_with(shape, subgroup);
      const AttentionPush push = push_for(head_dim);
      const auto block = attention_block(caps, push, 512);
      ASSERT_TRUE(block.has_value());
      EXPECT_EQ(block->shared, 4U);
      const std::uint32_t group = block->subgroups * subgroup;
      EXPECT_LE(group, caps.max_group_invocations);
      EXPECT_EQ(group % block->queries, 0U) << "the softmax needs whole queries";
      EXPECT_LE(group / block->queries, subgroup) << "in one subgroup";
      EXPECT_EQ(block->queries % (block->subgroups / block->across * shape.m), 0U);
      EXPECT_EQ(head_dim % (block->across * shape.n), 0U);
    }
}

TEST(AttentionBlock, DividesTheSumsOfLargeHeadsAmongNarrowSubgroups) {
  const auto narrow = attention_block(device_with({8, 8, 16}, 8), push_for(128), 512);
  ASSERT_TRUE(narrow.has_value());
  EXPECT_EQ(narrow->across, 8U) << "more than there are fragments of keys in a tile";
  const auto wide = attention_block(device_with({16, 16, 16}, 32), push_for(128), 512);
  ASSERT_TRUE(wide.has_value());
  EXPECT_LE(wide->across, 2U);
}

TEST(AttentionBlock, IsLeftOutWhereALaneHasTooFewRegisters) {
  DeviceCaps caps = device_with({8, 8, 16}, 8);
  for (const std::uint32_t head_dim : {80U, 112U, 160U, 256U})
    EXPECT_TRUE(attention_block(caps, push_for(head_dim), 512).has_value()) << head_dim;
  caps.lane_registers = 128;
  for (const std::uint32_t head_dim : {80U, 112U, 160U, 256U})
    EXPECT_FALSE(attention_block(caps, push_for(head_dim), 512).has_value()) << head_dim;
  for (const std::uint32_t head_dim : {16U, 32U, 64U, 96U, 128U, 192U})
    EXPECT_TRUE(attention_block(caps, push_for(head_dim), 512).has_value()) << head_dim;
}

TEST(AttentionBlock, IsLeftOutForOtherHeads) {
  const DeviceCaps caps = device_with({16, 16, 16}, 32);
  EXPECT_FALSE(attention_block(caps, push_for(72), 512).has_value()) << "not a multiple of 16";
  EXPECT_FALSE(attention_block(caps, push_for(512), 512).has_value())
      << "too large for shared memory";
}

}  // namespace
}  // namespace bitaxon::vulkan
