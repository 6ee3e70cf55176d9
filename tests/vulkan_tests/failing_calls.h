// Vulkan functions that fail when a test says so, and are counted.
#pragma once

#include <map>
#include <string>

#include "vulkan/functions.h"

namespace bitaxon::vulkan::test {

/// The hook for Instance puts these functions before the driver's: all that return a VkResult, and
/// those that destroy.
struct FailingCalls {
  std::string name;                               ///< of the function that fails; empty: none
  int first = 1;                                  ///< from which call on
  int n_failures = 1;                             ///< how many calls in a row
  VkResult result = VK_ERROR_OUT_OF_HOST_MEMORY;  ///< what it returns then, having done nothing
  std::string missing;  ///< a function that the loader or the driver does not have

  std::map<std::string, int> n_calls;
  std::map<std::string, int> n_successes;  ///< of calls that were let through
  int n_failed = 0;

  /// No function fails or is missing, nothing is counted.
  static void reset();
  static FailingCalls& now();
  static void hook(Functions& functions);
  /// Everything that was made is destroyed; says what is not.
  static void expect_nothing_left();
};

}  // namespace bitaxon::vulkan::test
