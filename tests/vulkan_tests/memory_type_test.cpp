// Tests of which memory type is chosen for each purpose, on many kinds of machines.
#include <gtest/gtest.h>

#include "vulkan/memory/memory.h"

namespace bitaxon::vulkan {
namespace {

constexpr VkMemoryPropertyFlags kDevice = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
constexpr VkMemoryPropertyFlags kSeen =
    VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
constexpr VkMemoryPropertyFlags kCached = VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;
constexpr std::uint32_t kAnyType = ~0U;

using Types = std::vector<std::int32_t>;

/// The chosen memory types, in the order of MemoryPurpose: weights, state, activations, step,
/// staging, readback.
Types chosen(const DeviceCaps& caps, std::uint32_t allowed = kAnyType) {
  Types types;
  for (int i = 0; i < kMemoryPurposeCount; ++i)
    types.push_back(choose_memory_type(caps, static_cast<MemoryPurpose>(i), allowed));
  return types;
}

/// A discrete GPU whose memory the host can map up to `window` bytes.
DeviceCaps discrete(std::uint64_t window) {
  DeviceCaps caps;
  caps.heaps = {{16 * kGiB, 16 * kGiB, true}, {32 * kGiB, 32 * kGiB, false}};
  caps.memory_types = {{1, 0}, {0, kDevice}, {1, kSeen}, {1, kSeen | kCached}};
  if (window == 16 * kGiB) {
    caps.memory_types.push_back({0, kDevice | kSeen});
  } else if (window > 0) {
    caps.heaps.push_back({window, window, true});
    caps.memory_types.push_back({2, kDevice | kSeen});
  }
  return caps;
}

TEST(MemoryType, IsChosenForADiscreteGpuWhoseMemoryTheHostCannotMap) {
  EXPECT_EQ(chosen(discrete(0)), (Types{1, 1, 1, 2, 2, 3}));
}

TEST(MemoryType, IsChosenForADiscreteGpuWithAWindowOf256MiB) {
  EXPECT_EQ(chosen(discrete(kGiB / 4)), (Types{1, 1, 1, 4, 2, 3}));
}

TEST(MemoryType, IsChosenForADiscreteGpuWhoseMemoryTheHostCanMap) {
  EXPECT_EQ(chosen(discrete(16 * kGiB)), (Types{4, 4, 4, 4, 2, 3}));
}

TEST(MemoryType, IsChosenForAnIntegratedGpu) {
  DeviceCaps caps;
  caps.heaps = {{8 * kGiB, 8 * kGiB, true}};
  caps.memory_types = {{0, kDevice}, {0, kDevice | kSeen}, {0, kDevice | kSeen | kCached}};
  const Types types = chosen(caps);
  EXPECT_EQ(types, (Types{1, 1, 1, 1, 1, 2}));
}

TEST(MemoryType, UsesTheOnlyTypeForEverything) {
  DeviceCaps caps;
  caps.heaps = {{2 * kGiB, 2 * kGiB, true}};
  caps.memory_types = {{0, kDevice | kSeen | kCached}};
  EXPECT_EQ(chosen(caps), (Types{0, 0, 0, 0, 0, 0}));
}

TEST(MemoryType, ChoosesOnlyTypesThatTheBufferAllows) {
  EXPECT_EQ(chosen(discrete(16 * kGiB), 0b01111), (Types{1, 1, 1, 2, 2, 3}));
  EXPECT_EQ(chosen(discrete(0), 0b0010), (Types{1, 1, 1, -1, -1, -1}));
  EXPECT_EQ(chosen(discrete(0), 0), (Types{-1, -1, -1, -1, -1, -1}));
}

TEST(MemoryType, NeverChoosesATypeThatNeedsFlushes) {
  DeviceCaps caps;
  caps.heaps = {{8 * kGiB, 8 * kGiB, true}};
  caps.memory_types = {{0, kDevice | VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | kCached}};
  EXPECT_EQ(chosen(caps), (Types{0, 0, 0, -1, -1, -1}));
}

TEST(MemoryType, NeverChoosesAProtectedOrLazyType) {
  for (const VkMemoryPropertyFlags unusable :
       {VK_MEMORY_PROPERTY_PROTECTED_BIT, VK_MEMORY_PROPERTY_LAZILY_ALLOCATED_BIT}) {
    DeviceCaps caps = discrete(16 * kGiB);
    const Types before = chosen(caps);
    for (const MemoryType& type : discrete(16 * kGiB).memory_types)
      caps.memory_types.insert(caps.memory_types.begin(), {type.heap, type.flags | unusable});
    Types moved = chosen(caps);
    for (std::int32_t& type : moved) type -= 5;
    EXPECT_EQ(moved, before);
  }
}

TEST(MemoryType, IsChosenForADeviceWithoutItsOwnMemory) {
  DeviceCaps caps;
  caps.heaps = {{8 * kGiB, 8 * kGiB, false}};
  caps.memory_types = {{0, kSeen}, {0, kSeen | kCached}};
  EXPECT_EQ(chosen(caps), (Types{0, 0, 0, 0, 0, 1}));
}

}  // namespace
}  // namespace bitaxon::vulkan
