// Vulkan functions that fail on request. Calls are counted, and created objects are tracked.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "vulkan/device/functions.h"

namespace bitaxon::vulkan::test {

/// Which call fails, and counts of all calls. hook() is a hook for Instance. It wraps all functions
/// of the driver that return a VkResult or destroy an object. Destroying an object that does not
/// exist fails the test.
struct FailingCalls {
  std::string name;                               ///< the function that fails; empty if none
  int first = 1;                                  ///< the first call that fails
  int n_failures = 1;                             ///< the number of successive calls that fail
  VkResult result = VK_ERROR_OUT_OF_HOST_MEMORY;  ///< the result of a failing call
  std::string missing;  ///< a function that the loader or the driver lacks

  std::map<std::string, int> n_calls;
  int n_failed = 0;
  /// Whether the device was lost. Every function that can report the loss then does so.
  bool lost = false;

  /// Makes all functions work again and resets the counts.
  static void reset();
  static FailingCalls& now();
  static void hook(Functions& functions);
  /// Expects that every created object has been destroyed. Names the objects that still exist.
  static void expect_nothing_left();
};

/// The functions of the table that return a VkResult.
std::vector<std::string> fallible_calls();

}  // namespace bitaxon::vulkan::test
