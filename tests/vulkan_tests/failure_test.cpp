// Tests in which each Vulkan call that opens a device fails once. The failure must give an Error of
// the right kind, and must leave no object behind.
#include <gtest/gtest.h>

#include "environment.h"
#include "failing_calls.h"
#include "support/errors.h"
#include "vulkan/device/device.h"

namespace bitaxon::vulkan::test {
namespace {

using bitaxon::test::expect_error;

/// Opens an instance and its first device, with validation. Returns the number of devices in the
/// instance.
std::size_t open_all() {
  const EnvironmentVariable validation("BIT_AXON_VALIDATION", "1");
  Messages messages;
  const Instance instance(FailingCalls::hook, &messages);
  if (!instance.devices().empty()) const Device device(instance, instance.devices()[0]);
  return instance.devices().size();
}

const std::vector<std::string> kCalls = {
    "vkEnumerateInstanceVersion",           "vkEnumerateInstanceExtensionProperties",
    "vkEnumerateInstanceLayerProperties",   "vkCreateInstance",
    "vkCreateDebugUtilsMessengerEXT",       "vkEnumeratePhysicalDevices",
    "vkEnumerateDeviceExtensionProperties", "vkCreateDevice"};

void expect_missing_is_said(const std::string& name, ErrorKind kind) {
  SCOPED_TRACE(name);
  FailingCalls::reset();
  FailingCalls::now().missing = name;
  expect_error(open_all, kind, {name, "update"});
  FailingCalls::expect_nothing_left();
}

TEST(Failure, OpensADeviceIfNothingFails) {
  FailingCalls::reset();
  EXPECT_GT(open_all(), 0u);
  for (const std::string& name : kCalls) EXPECT_GT(FailingCalls::now().n_calls[name], 0) << name;
  FailingCalls::expect_nothing_left();
}

TEST(Failure, EachFailedCallGivesATypedError) {
  for (const std::string& name : kCalls) {
    for (int nth = 1;; ++nth) {
      SCOPED_TRACE(name + ", call " + std::to_string(nth));
      FailingCalls::reset();
      FailingCalls::now().name = name;
      FailingCalls::now().first = nth;
      FailingCalls::now().result = VK_ERROR_OUT_OF_HOST_MEMORY;
      bool failed = false;
      try {
        open_all();
      } catch (const Error& error) {
        failed = true;
        EXPECT_EQ(error.kind(), ErrorKind::device) << error.what();
        EXPECT_NE(std::string(error.what()).find(name + "("), std::string::npos) << error.what();
        EXPECT_NE(std::string(error.what()).find("VK_ERROR_OUT_OF_HOST_MEMORY"), std::string::npos)
            << error.what();
      }
      EXPECT_EQ(failed, FailingCalls::now().n_failed == 1);
      FailingCalls::expect_nothing_left();
      if (FailingCalls::now().n_failed == 0) {
        EXPECT_GT(nth, 1) << "the function was never called";
        break;
      }
    }
  }
}

TEST(Failure, QueriesAgainIfAListGrows) {
  FailingCalls::reset();
  const std::size_t n_devices = open_all();
  for (const std::string& name : kCalls) {
    if (name.rfind("vkEnumerate", 0) != 0 || name == "vkEnumerateInstanceVersion") continue;
    SCOPED_TRACE(name);
    FailingCalls::reset();
    FailingCalls::now().name = name;
    FailingCalls::now().first = 2;
    FailingCalls::now().result = VK_INCOMPLETE;
    EXPECT_EQ(open_all(), n_devices);
    EXPECT_EQ(FailingCalls::now().n_failed, 1);
    FailingCalls::expect_nothing_left();
  }
}

TEST(Failure, AMachineWithoutDevicesIsNotAnError) {
  FailingCalls::reset();
  FailingCalls::now().name = "vkEnumeratePhysicalDevices";
  for (const VkResult result : {VK_ERROR_INITIALIZATION_FAILED, VK_SUCCESS}) {
    FailingCalls::now().first = 1;
    FailingCalls::now().n_calls.clear();
    FailingCalls::now().result = result;
    EXPECT_EQ(open_all(), 0u);
  }
}

TEST(Failure, AnOldLoaderIsUnsupported) {
  FailingCalls::reset();
  FailingCalls::now().missing = "vkEnumerateInstanceVersion";
  expect_error(open_all, ErrorKind::unsupported, {"version 1.0.0", "1.2 is needed"});
  FailingCalls::reset();
  FailingCalls::now().name = "vkEnumerateInstanceVersion";
  FailingCalls::now().result = VK_SUCCESS;  // the call gives no version, so version 1.0 is assumed
  expect_error(open_all, ErrorKind::unsupported, {"version 1.0.0", "1.2 is needed"});
}

TEST(Failure, NoDriverIsUnsupported) {
  FailingCalls::reset();
  FailingCalls::now().name = "vkCreateInstance";
  FailingCalls::now().result = VK_ERROR_INCOMPATIBLE_DRIVER;
  expect_error(open_all, ErrorKind::unsupported, {"no Vulkan driver", "install"});
}

TEST(Failure, MissingFunctionsAreNamed) {
  // In each list, the first function is missing. Without this function, nothing can be destroyed.
  for (const char* name :
       {"vkEnumeratePhysicalDevices", "vkGetPhysicalDeviceProperties2", "vkGetDeviceProcAddr"})
    expect_missing_is_said(name, ErrorKind::unsupported);
  for (const char* name : {"vkGetDeviceQueue", "vkQueueSubmit2", "vkGetSemaphoreCounterValue"})
    expect_missing_is_said(name, ErrorKind::device);
}

}  // namespace
}  // namespace bitaxon::vulkan::test
