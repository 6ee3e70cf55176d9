// Fake devices and drivers.
#pragma once

#include "vulkan/device/device_caps.h"

namespace bitaxon::vulkan::test {

/// A device that just meets the floor: each limit has the lowest allowed value.
DeviceCaps plain_device(std::uint32_t index, DeviceType type);

/// A driver with one device. The members describe the device. The functions of the driver answer
/// from the members and record the queries.
struct FakeDriver {
  std::uint32_t loader_version = VK_API_VERSION_1_3;
  std::uint32_t device_version = VK_API_VERSION_1_3;
  VkPhysicalDeviceType type = VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU;
  std::string name = "Fake GPU";
  std::vector<std::string> extensions;
  std::vector<VkQueueFamilyProperties> families;
  std::vector<VkCooperativeMatrixPropertiesNV> products;
  bool has_subgroup_size_control_feature = true;
  VkShaderStageFlags subgroup_stages = VK_SHADER_STAGE_ALL;

  std::vector<VkStructureType> asked;  ///< the structures in the pNext lists of all queries

  /// The table uses this object and must not outlive it. Only one object may be used at a time.
  Functions functions();
};

}  // namespace bitaxon::vulkan::test
