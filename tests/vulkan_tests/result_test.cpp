// Vulkan results as text and as errors.
#include "vulkan/result.h"

#include <gtest/gtest.h>

#include "support/errors.h"

namespace bitaxon::vulkan::test {
namespace {

using bitaxon::test::expect_error;

TEST(Result, Names) {
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
                 "vulkan: vkAllocateDescriptorSets(layer_3): VK_ERROR_FRAGMENTED_POOL");
    EXPECT_EQ(error.kind(), ErrorKind::device);
  }
}

TEST(Result, ErrorsSayWhatToTry) {
  const std::pair<VkResult, std::string_view> hints[] = {
      {VK_ERROR_DEVICE_LOST, "smaller chunk"},
      {VK_ERROR_OUT_OF_DEVICE_MEMORY, "--quantize"},
      {VK_ERROR_OUT_OF_HOST_MEMORY, "close other programs"},
      {VK_ERROR_INITIALIZATION_FAILED, "installed"},
      {VK_ERROR_INCOMPATIBLE_DRIVER, "install"},
      {VK_ERROR_LAYER_NOT_PRESENT, "VK_INSTANCE_LAYERS"},
      {VK_ERROR_EXTENSION_NOT_PRESENT, "update"},
      {VK_ERROR_FEATURE_NOT_PRESENT, "update"},
      {VK_ERROR_MEMORY_MAP_FAILED, "address space"},
      {VK_ERROR_TOO_MANY_OBJECTS, "limit"},
  };
  for (const auto& [result, hint] : hints)
    expect_error([result = result] { check(result, "vkX", "weights, 47.20 MiB"); },
                 ErrorKind::device, {"vkX(weights, 47.20 MiB): ", result_name(result), "; ", hint});
}

}  // namespace
}  // namespace bitaxon::vulkan::test
