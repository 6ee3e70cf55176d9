// The Vulkan device under test, and the messages of validation layers about this device. Each test
// program opens the device once.
#pragma once

#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "vulkan/device/instance.h"
#include "vulkan/vulkan_backend.h"
#include "vulkan_tests/layers.h"

namespace bitaxon::test {

/// The selector of the device under test: $BX_TEST_DEVICE if set, otherwise llvmpipe. Every machine
/// that runs the tests has llvmpipe.
inline std::string test_selector() {
  const char* selector = std::getenv("BX_TEST_DEVICE");
  return selector != nullptr ? selector : "llvmpipe";
}

/// The messages of the enabled layers. If a message arrives while a test runs, the test fails
/// (main.cpp).
inline vulkan::Messages& messages() {
  static vulkan::Messages instance;
  return instance;
}

/// Options for tests that open their own backends.
inline vulkan::VulkanOptions test_options() {
  vulkan::VulkanOptions options;
  options.selector = test_selector();
  options.messages = &messages();
  if (environment_enables("GPU_ASSISTED")) options.hook = answer_for_semaphores;
  return options;
}

/// The backends that tests share. main() closes them. If the backends were destroyed together with
/// static objects, a layer might already have destroyed the data that it needs to close a device.
inline std::vector<std::shared_ptr<Backend>>& shared_backends() {
  static std::vector<std::shared_ptr<Backend>> backends;
  return backends;
}

inline Backend& share(std::shared_ptr<Backend> backend) {
  return *shared_backends().emplace_back(std::move(backend));
}

inline Backend& vulkan_backend() {
  static Backend& backend = share(vulkan::open_vulkan_backend(test_options()));
  return backend;
}

/// The same backend, for classes that share it. The pointer does not own it.
inline std::shared_ptr<Backend> shared_vulkan_backend() {
  return {std::shared_ptr<void>(), &vulkan_backend()};
}

}  // namespace bitaxon::test
