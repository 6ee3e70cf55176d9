// Tests that open the devices of this machine.
#include "vulkan/device/device.h"

#include <gtest/gtest.h>

#include "environment.h"
#include "failing_calls.h"
#include "support/errors.h"
#include "vulkan/device/floor.h"
#include "vulkan/device/handle.h"

namespace bitaxon::vulkan::test {
namespace {

using bitaxon::test::expect_error;

/// Opens the device `physical` and makes a few calls.
void expect_opens(const Instance& instance, const Instance::PhysicalDevice& physical) {
  const Device device(instance, physical);
  EXPECT_NE(device.queue(), nullptr);
  EXPECT_EQ(device.caps().name, physical.caps.name);
#define BX_EXPECT(name) EXPECT_NE(device.fn().name, nullptr) << #name;
  BX_VK_DEVICE_FUNCTIONS(BX_EXPECT)
  BX_VK_SYNCHRONIZATION2_FUNCTIONS(BX_EXPECT)
  if (instance.has_debug_utils()) {
    BX_VK_OPTIONAL_DEVICE_FUNCTIONS(BX_EXPECT)
  }
#undef BX_EXPECT
  EXPECT_EQ(device.heaps_now().size(), device.caps().heaps.size());

  VkSemaphoreTypeCreateInfo timeline{};
  timeline.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO;
  timeline.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
  timeline.initialValue = 7;
  VkSemaphoreCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO;
  info.pNext = &timeline;
  VkSemaphore created = VK_NULL_HANDLE;
  ASSERT_EQ(device.fn().vkCreateSemaphore(device.handle(), &info, nullptr, &created), VK_SUCCESS);
  const SemaphoreHandle semaphore(device, created);
  device.set_name(VK_OBJECT_TYPE_SEMAPHORE, reinterpret_cast<std::uint64_t>(created), "steps");
  std::uint64_t value = 0;
  ASSERT_EQ(device.fn().vkGetSemaphoreCounterValue(device.handle(), created, &value), VK_SUCCESS);
  EXPECT_EQ(value, 7u);
}

TEST(Device, EveryUsableDeviceOpens) {
  const EnvironmentVariable validation("BIT_AXON_VALIDATION", "1");
  Messages messages;
  int n_usable = 0;
  {
    const Instance instance(nullptr, &messages);
    for (const Instance::PhysicalDevice& physical : instance.devices()) {
      if (!missing_of(physical.caps).empty()) continue;
      ++n_usable;
      expect_opens(instance, physical);
    }
  }
  EXPECT_GT(n_usable, 0) << "install mesa-vulkan-drivers";
  EXPECT_EQ(messages.lines, std::vector<std::string>());
}

TEST(Device, Vulkan12TakesVulkan13FunctionsFromExtensions) {
  const EnvironmentVariable validation("BIT_AXON_VALIDATION", "1");
  Messages messages;
  {
    const Instance instance(nullptr, &messages);
    Instance::PhysicalDevice physical = instance.devices().at(0);
    ASSERT_TRUE(physical.caps.has_extension("VK_KHR_synchronization2"));
    physical.caps.api_version = VK_API_VERSION_1_2;
    expect_opens(instance, physical);
  }
  EXPECT_EQ(messages.lines, std::vector<std::string>());
}

TEST(Device, RefusesADeviceThatLacksAFeature) {
  const Instance instance;
  Instance::PhysicalDevice physical = instance.devices().at(0);
  physical.caps.timeline_semaphore = false;
  expect_error([&] { const Device device(instance, physical); }, ErrorKind::unsupported,
               {"lacks timelineSemaphore", physical.caps.name});
}

TEST(Device, SetsNoNamesWithoutDebugUtils) {
  FailingCalls::reset();
  FailingCalls::now().name = "vkEnumerateInstanceExtensionProperties";
  FailingCalls::now().n_failures = 1000;
  FailingCalls::now().result = VK_SUCCESS;  // calls succeed, but the list stays empty
  const Instance instance(FailingCalls::hook);
  EXPECT_FALSE(instance.has_debug_utils());
  const Device device(instance, instance.devices().at(0));
  EXPECT_EQ(device.fn().vkSetDebugUtilsObjectNameEXT, nullptr);
  device.set_name(VK_OBJECT_TYPE_DEVICE, reinterpret_cast<std::uint64_t>(device.handle()), "x");
}

}  // namespace
}  // namespace bitaxon::vulkan::test
