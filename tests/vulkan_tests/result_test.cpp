// Tests of Vulkan results as text and as errors.
#include "vulkan/device/result.h"

#include <gtest/gtest.h>

#include "support/errors.h"

namespace bitaxon::vulkan::test {
namespace {

using bitaxon::test::expect_error;

TEST(Result, ResultsHaveNames) {
  EXPECT_EQ(result_name(VK_SUCCESS), "VK_SUCCESS");
  EXPECT_EQ(result_name(VK_TIMEOUT), "VK_TIMEOUT");
  EXPECT_EQ(result_name(VK_INCOMPLETE), "VK_INCOMPLETE");
  EXPECT_EQ(result_name(VK_ERROR_DEVICE_LOST), "VK_ERROR_DEVICE_LOST");
  EXPECT_EQ(result_name(VK_ERROR_OUT_OF_POOL_MEMORY), "VK_ERROR_OUT_OF_POOL_MEMORY");
  EXPECT_EQ(result_name(static_cast<VkResult>(-42)), "VkResult -42");
}

TEST(Result, CoreErrorsHaveNames) {
  for (int value = VK_ERROR_UNKNOWN; value < 0; ++value)
    EXPECT_EQ(result_name(static_cast<VkResult>(value)).rfind("VK_ERROR_", 0), 0u) << value;
}

TEST(Result, SuccessesThrowNothing) {
  for (const VkResult result : {VK_SUCCESS, VK_NOT_READY, VK_TIMEOUT, VK_INCOMPLETE})
    EXPECT_NO_THROW(check(result, "vkX", "y")) << result;
}

TEST(Result, ErrorsNameCallObjectAndResult) {
  try {
    check(VK_ERROR_FRAGMENTED_POOL, "vkAllocateDescriptorSets", "layer_3");
    ADD_FAILURE() << "expected an error";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "vulkan: vkAllocateDescriptorSets(layer_3): VK_ERROR_FRAGMENTED_POOL; the driver "
                 "has no room left for such objects; close other programs that use the device");
    EXPECT_EQ(error.kind(), ErrorKind::device);
  }
}

struct ExpectedError {
  VkResult result;
  ErrorKind kind;
  std::string_view hint;
};

TEST(Result, ErrorsSayWhatToTry) {
  const ExpectedError errors[] = {
      {VK_ERROR_DEVICE_LOST, ErrorKind::device, "smaller chunk"},
      {VK_ERROR_OUT_OF_DEVICE_MEMORY, ErrorKind::device, "4 bits"},
      {VK_ERROR_OUT_OF_HOST_MEMORY, ErrorKind::device, "close other programs"},
      {VK_ERROR_INITIALIZATION_FAILED, ErrorKind::device, "groups render and video"},
      {VK_ERROR_INCOMPATIBLE_DRIVER, ErrorKind::unsupported, "install"},
      {VK_ERROR_LAYER_NOT_PRESENT, ErrorKind::unsupported, "VK_INSTANCE_LAYERS"},
      {VK_ERROR_EXTENSION_NOT_PRESENT, ErrorKind::unsupported, "update"},
      {VK_ERROR_FEATURE_NOT_PRESENT, ErrorKind::unsupported, "update"},
      {VK_ERROR_MEMORY_MAP_FAILED, ErrorKind::device, "address space"},
      {VK_ERROR_TOO_MANY_OBJECTS, ErrorKind::device, "limit"},
      {VK_ERROR_OUT_OF_POOL_MEMORY, ErrorKind::device, "no room left"},
      {VK_ERROR_UNKNOWN, ErrorKind::device, "another device"},
      {static_cast<VkResult>(-42), ErrorKind::device, "another device"},
  };
  for (const auto& [result, kind, hint] : errors)
    expect_error([result = result] { check(result, "vkX", "weights, 47.20 MiB"); }, kind,
                 {"vkX(weights, 47.20 MiB): ", result_name(result), "; ", hint});
}

TEST(Result, ALostDeviceHasItsOwnErrorType) {
  EXPECT_THROW(check(VK_ERROR_DEVICE_LOST, "vkX", "y"), DeviceLost);
  try {
    check(VK_ERROR_OUT_OF_DEVICE_MEMORY, "vkX", "y");
  } catch (const DeviceLost&) {
    ADD_FAILURE() << "it is not lost";
  } catch (const Error&) {
  }
}

}  // namespace
}  // namespace bitaxon::vulkan::test
