// Tests the loader and the drivers of this machine. The machine needs at least one driver, for
// example mesa-vulkan-drivers.
#include "vulkan/device/instance.h"

#include <gtest/gtest.h>

#include "environment.h"
#include "failing_calls.h"
#include "support/errors.h"
#include "vulkan/device/device.h"

namespace bitaxon::vulkan::test {
namespace {

using bitaxon::test::expect_error;

/// Causes a validation error by creating a buffer of 0 bytes. Returns the messages about this
/// error.
std::vector<std::string> messages_about_an_error() {
  Messages messages;
  {
    const Instance instance(nullptr, &messages);
    const Device device(instance, instance.devices().at(0));
    EXPECT_EQ(messages.lines, std::vector<std::string>()) << "without a cause";
    VkBufferCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO;
    info.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT;
    VkBuffer buffer = VK_NULL_HANDLE;
    if (device.fn().vkCreateBuffer(device.handle(), &info, nullptr, &buffer) == VK_SUCCESS)
      device.fn().vkDestroyBuffer(device.handle(), buffer, nullptr);
  }
  return messages.lines;
}

TEST(Instance, ListsTheDevicesOfThisMachine) {
  const Instance instance;
  ASSERT_FALSE(instance.devices().empty()) << "install mesa-vulkan-drivers";
  for (std::size_t i = 0; i < instance.devices().size(); ++i) {
    const DeviceCaps& caps = instance.devices()[i].caps;
    SCOPED_TRACE(caps.name);
    EXPECT_EQ(caps.index, i);
    EXPECT_NE(caps.name, "");
    ASSERT_GE(caps.api_version, VK_API_VERSION_1_2);
    EXPECT_NE(caps.driver_name, "");
    EXPECT_GE(caps.subgroup_size, 1u);
    EXPECT_LE(caps.min_subgroup_size, caps.subgroup_size);
    EXPECT_LE(caps.subgroup_size, caps.max_subgroup_size);
    EXPECT_GE(caps.max_storage_buffer_bytes, 1u << 27);
    EXPECT_GE(caps.max_allocation_bytes, 1u << 30);
    EXPECT_GE(caps.max_group_invocations, 128u);
    EXPECT_GE(caps.max_allocations, 4096u);
    EXPECT_FALSE(caps.extensions.empty());
    EXPECT_EQ(caps.timestamps, caps.timestamp_bits > 0);
    ASSERT_FALSE(caps.heaps.empty());
    for (const MemoryHeap& heap : caps.heaps) EXPECT_GT(heap.size_bytes, 0u);
    for (const MemoryType& type : caps.memory_types) EXPECT_LT(type.heap, caps.heaps.size());
  }
}

TEST(Instance, ReportsAMissingLoader) {
  expect_error(
      [] {
        Instance(nullptr, nullptr, {"libno-such-vulkan.so.1", "libnor-this.so"});
      },
      ErrorKind::unsupported, {"no Vulkan loader", "install libvulkan1", "libno-such-vulkan.so.1"});
  expect_error([] { Instance(nullptr, nullptr, {}); }, ErrorKind::unsupported,
               {"no Vulkan loader"});
}

TEST(Instance, ReportsALibraryThatIsNotALoader) {
  expect_error([] { Instance(nullptr, nullptr, {"libc.so.6"}); }, ErrorKind::unsupported,
               {"damaged", "libvulkan1"});
}

TEST(Instance, TriesTheSecondNameOfTheLoader) {
  std::vector<std::string> names = default_loader_names();
  names.insert(names.begin(), "libno-such-vulkan.so.1");
  EXPECT_FALSE(Instance(nullptr, nullptr, names).devices().empty());
}

TEST(Instance, ReportsAMissingDriver) {
  const EnvironmentVariable old_name("VK_ICD_FILENAMES", "/no/such/driver.json");
  const EnvironmentVariable new_name("VK_DRIVER_FILES", "/no/such/driver.json");
  expect_error([] { const Instance instance; }, ErrorKind::unsupported,
               {"no Vulkan driver", "mesa-vulkan-drivers"});
}

TEST(Instance, ReceivesValidationMessages) {
  {
    const EnvironmentVariable validation("BIT_AXON_VALIDATION", "1");
    const std::vector<std::string> lines = messages_about_an_error();
    ASSERT_FALSE(lines.empty()) << "install vulkan-validationlayers";
    EXPECT_NE(lines[0].find("VUID-VkBufferCreateInfo-size-00912"), std::string::npos) << lines[0];
  }
  const EnvironmentVariable layers("VK_INSTANCE_LAYERS", "VK_LAYER_KHRONOS_validation");
  EXPECT_FALSE(messages_about_an_error().empty());
}

TEST(Instance, CreatesNoMessengerWithoutLayers) {
  const EnvironmentVariable layers("VK_INSTANCE_LAYERS", "");
  const EnvironmentVariable validation("BIT_AXON_VALIDATION", "0");
  FailingCalls::reset();
  Messages messages;
  { const Instance instance(FailingCalls::hook, &messages); }
  EXPECT_EQ(FailingCalls::now().n_calls["vkCreateDebugUtilsMessengerEXT"], 0);
  EXPECT_EQ(FailingCalls::now().n_calls["vkDestroyInstance"], 1);
}

}  // namespace
}  // namespace bitaxon::vulkan::test
