// The Vulkan device under test, opened once for each test program, and what validation layers say
// of it.
#pragma once

#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "vulkan/instance.h"
#include "vulkan/vulkan_backend.h"
#include "vulkan_tests/layers.h"

namespace bitaxon::test {

/// BX_TEST_DEVICE selects one; llvmpipe is there on every machine that tests.
inline std::string test_selector() {
  const char* selector = std::getenv("BX_TEST_DEVICE");
  return selector != nullptr ? selector : "llvmpipe";
}

/// Messages of the layers that are on; any fails the test in which it came (main.cpp).
inline vulkan::Messages& messages() {
  static vulkan::Messages instance;
  return instance;
}

/// Options with which tests open backends of their own.
inline vulkan::VulkanOptions test_options() {
  vulkan::VulkanOptions options;
  options.selector = test_selector();
  options.messages = &messages();
  if (environment_enables("GPU_ASSISTED")) options.hook = answer_for_semaphores;
  return options;
}

/// The backends that tests share. main() closes them: when static objects are destroyed, a layer
/// may have destroyed what it needs for that.
inline std::vector<std::unique_ptr<Backend>>& shared_backends() {
  static std::vector<std::unique_ptr<Backend>> backends;
  return backends;
}

inline Backend& share(std::unique_ptr<Backend> backend) {
  return *shared_backends().emplace_back(std::move(backend));
}

inline Backend& vulkan_backend() {
  static Backend& backend = share(vulkan::open_vulkan_backend(test_options()));
  return backend;
}

}  // namespace bitaxon::test
