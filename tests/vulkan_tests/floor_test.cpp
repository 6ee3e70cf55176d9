// Tests of the floor, which names each requirement that a device does not meet.
#include "vulkan/device/floor.h"

#include <gtest/gtest.h>

#include <functional>

#include "fabricated.h"

namespace bitaxon::vulkan::test {
namespace {

struct Lack {
  std::string expected;  ///< the whole line that must name the requirement
  std::function<void(DeviceCaps&)> take_away;
};

const std::vector<Lack>& lacks() {
  const auto without = [](VkSubgroupFeatureFlagBits bit) {
    return [bit](DeviceCaps& caps) {
      caps.subgroup_operations &= ~static_cast<VkSubgroupFeatureFlags>(bit);
    };
  };
  static const std::vector<Lack> all = {
      {"Vulkan 1.2 (has 1.1.131)",
       [](DeviceCaps& caps) { caps.api_version = VK_MAKE_API_VERSION(0, 1, 1, 131); }},
      {"a compute queue", [](DeviceCaps& caps) { caps.compute_queue_family = -1; }},
      {"bufferDeviceAddress", [](DeviceCaps& caps) { caps.buffer_device_address = false; }},
      {"timelineSemaphore", [](DeviceCaps& caps) { caps.timeline_semaphore = false; }},
      {"synchronization2", [](DeviceCaps& caps) { caps.synchronization2 = false; }},
      {"scalarBlockLayout", [](DeviceCaps& caps) { caps.scalar_block_layout = false; }},
      {"subgroup basic operations in compute shaders", without(VK_SUBGROUP_FEATURE_BASIC_BIT)},
      {"subgroup vote operations in compute shaders", without(VK_SUBGROUP_FEATURE_VOTE_BIT)},
      {"subgroup arithmetic operations in compute shaders",
       without(VK_SUBGROUP_FEATURE_ARITHMETIC_BIT)},
      {"subgroup shuffle operations in compute shaders", without(VK_SUBGROUP_FEATURE_SHUFFLE_BIT)},
      {"maxPerStageDescriptorStorageBuffers 12 (has 4)",
       [](DeviceCaps& caps) { caps.max_storage_buffers = 4; }},
      {"maxPushConstantsSize 128 (has 127)", [](DeviceCaps& caps) { caps.max_push_bytes = 127; }},
      {"maxComputeWorkGroupInvocations 128 (has 64)",
       [](DeviceCaps& caps) { caps.max_group_invocations = 64; }},
      {"maxComputeWorkGroupSize[0] 128 (has 64)",
       [](DeviceCaps& caps) { caps.max_group_size[0] = 64; }},
      {"maxComputeSharedMemorySize 16384 (has 0)",
       [](DeviceCaps& caps) { caps.max_shared_bytes = 0; }},
  };
  return all;
}

TEST(Floor, APlainDeviceLacksNothing) {
  EXPECT_EQ(missing_of(plain_device(0, DeviceType::discrete)), std::vector<std::string>());
}

TEST(Floor, NamesEachMissingRequirement) {
  for (const Lack& lack : lacks()) {
    DeviceCaps caps = plain_device(0, DeviceType::discrete);
    lack.take_away(caps);
    EXPECT_EQ(missing_of(caps), std::vector<std::string>{lack.expected});
  }
}

TEST(Floor, NamesAllMissingRequirements) {
  DeviceCaps caps = plain_device(0, DeviceType::discrete);
  for (const Lack& lack : lacks())
    if (lack.expected.rfind("Vulkan", 0) != 0) lack.take_away(caps);
  EXPECT_EQ(missing_of(caps).size(), lacks().size() - 1);
}

TEST(Floor, AnEmptyRecordIsNotUsable) { EXPECT_FALSE(missing_of(DeviceCaps{}).empty()); }

}  // namespace
}  // namespace bitaxon::vulkan::test
