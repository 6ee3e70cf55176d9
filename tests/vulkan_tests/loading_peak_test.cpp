// Tests the peak of host memory while a model is loaded.
#include <gtest/gtest.h>

#include "support/borrowed_backend.h"
#include "support/memory_watch.h"
#include "test_device.h"
#include "vulkan/device/device_caps.h"

namespace bitaxon::test {
namespace {

TEST(VulkanLoadingPeak, IsBelowTheModelAndItsLargestTensor) {
  if (vulkan::device_caps(vulkan_backend()).type == vulkan::DeviceType::cpu) {
    expect_low_loading_peak(vulkan_backend());
    return;
  }
  // On this device, the model itself is not in host memory.
  const std::uint64_t growth = peak_growth_bytes(
      [] { Model::random(borrowed(vulkan_backend()), loading_config().spec(), 1, {}); });
  EXPECT_LT(growth, std::uint64_t{256} << 20);
}

}  // namespace
}  // namespace bitaxon::test
