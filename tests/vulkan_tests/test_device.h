// The Vulkan device under test, opened once for each test program.
#pragma once

#include <cstdlib>
#include <memory>
#include <string>

#include "vulkan/vulkan_backend.h"

namespace bitaxon::test {

/// BX_TEST_DEVICE selects one; llvmpipe is there on every machine that tests.
inline std::string test_selector() {
  const char* selector = std::getenv("BX_TEST_DEVICE");
  return selector != nullptr ? selector : "llvmpipe";
}

inline Backend& vulkan_backend() {
  static const std::unique_ptr<Backend> backend =
      vulkan::open_vulkan_backend({.selector = test_selector()});
  return *backend;
}

}  // namespace bitaxon::test
