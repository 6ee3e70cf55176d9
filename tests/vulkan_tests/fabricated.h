// Fake devices, and fake drivers for them.
#pragma once

#include "vulkan/device/device_caps.h"

namespace bitaxon::vulkan::test {

/// A device that just meets the floor: each of its limits has the lowest value that the program
/// accepts.
DeviceCaps plain_device(std::uint32_t index, DeviceType type);

/// A fake driver with one device. The data members describe the device. The functions of the driver
/// answer from these members and record each query.
struct FakeDriver {
  std::uint32_t loader_version = VK_API_VERSION_1_3;
  std::uint32_t device_version = VK_API_VERSION_1_3;
  VkPhysicalDeviceType type = VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU;
  std::string name = "Fake GPU";
  std::uint32_t vendor = 0;
  std::string driver_name = "fake\x1b driver";
  std::uint32_t driver_version = 0;
  std::vector<std::string> extensions;
  std::vector<VkQueueFamilyProperties> families;
  std::vector<VkCooperativeMatrixPropertiesKHR> products;
  bool has_subgroup_size_control_feature = true;
  VkShaderStageFlags subgroup_stages = VK_SHADER_STAGE_ALL;

  /// Types of the structures in the pNext lists of all queries so far.
  std::vector<VkStructureType> asked;

  /// The driver's functions. They use this object, so they must not outlive it. Only one object may
  /// be used at a time.
  Functions functions();
};

}  // namespace bitaxon::vulkan::test
