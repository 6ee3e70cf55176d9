// Vulkan functions that fail on request. Calls are counted, and created objects are tracked.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "vulkan/device/functions.h"

namespace bitaxon::vulkan::test {

/// The hook for Instance wraps all functions of the driver that return a VkResult or destroy an
/// object. Destroying an object that does not exist fails the test.
struct FailingCalls {
  std::string name;                               ///< the function that fails; empty: none
  int first = 1;                                  ///< the first call that fails
  int n_failures = 1;                             ///< how many calls fail in a row
  VkResult result = VK_ERROR_OUT_OF_HOST_MEMORY;  ///< what it returns then, without doing anything
  std::string missing;  ///< a function that the loader or the driver lacks

  std::map<std::string, int> n_calls;
  int n_failed = 0;
  /// The device was lost: every function that can report the loss does so, and nothing is computed.
  bool lost = false;

  /// Makes all functions work again and resets the counts.
  static void reset();
  static FailingCalls& now();
  static void hook(Functions& functions);
  /// Expects that every created object has been destroyed, and names those that have not.
  static void expect_nothing_left();
};

/// The functions of the table that return a VkResult.
std::vector<std::string> fallible_calls();

}  // namespace bitaxon::vulkan::test
