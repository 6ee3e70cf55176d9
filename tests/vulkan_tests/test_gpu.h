// Opens the device under test without a backend.
#pragma once

#include <functional>
#include <stdexcept>

#include "vulkan/device/device.h"
#include "vulkan/device/device_choice.h"
#include "vulkan_tests/test_device.h"

namespace bitaxon::test {

/// An instance and a device for one test. `options` may change the capabilities of the device.
class TestGpu {
 public:
  explicit TestGpu(const vulkan::VulkanOptions& options = test_options())
      : instance_(options.hook, options.messages), device_(instance_, changed(options)) {}
  const vulkan::Device& device() const { return device_; }

 private:
  vulkan::Instance::PhysicalDevice changed(const vulkan::VulkanOptions& options) const {
    std::vector<vulkan::DeviceCaps> caps;
    for (const auto& physical : instance_.devices()) caps.push_back(physical.caps);
    const auto choice = vulkan::choose_device(caps, options.selector);
    if (!choice.chosen)
      throw std::runtime_error(vulkan::problem_of(choice, caps, options.selector));
    vulkan::Instance::PhysicalDevice physical = instance_.devices()[*choice.chosen];
    if (options.limit_caps) options.limit_caps(physical.caps);
    return physical;
  }

  vulkan::Instance instance_;
  vulkan::Device device_;
};

/// Options that make the device under test look like a discrete GPU. The device then seems to have
/// memory of its own, which the host cannot map, and system memory. The driver must have a memory
/// type that is both device-local and visible to the host.
vulkan::VulkanOptions like_discrete();

}  // namespace bitaxon::test
