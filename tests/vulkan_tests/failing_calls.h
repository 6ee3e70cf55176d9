// Vulkan functions that fail when a test says so, and are counted, with what they made.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "vulkan/functions.h"

namespace bitaxon::vulkan::test {

/// The hook for Instance puts these functions before the driver's: all that return a VkResult, and
/// those that destroy. An object that is destroyed without being there fails the test.
struct FailingCalls {
  std::string name;                               ///< of the function that fails; empty: none
  int first = 1;                                  ///< from which call on
  int n_failures = 1;                             ///< how many calls in a row
  VkResult result = VK_ERROR_OUT_OF_HOST_MEMORY;  ///< what it returns then, having done nothing
  std::string missing;  ///< a function that the loader or the driver does not have

  std::map<std::string, int> n_calls;
  int n_failed = 0;
  /// The device was lost: from then on every function that says so does, and nothing is computed.
  bool lost = false;

  /// No function fails or is missing, nothing is counted.
  static void reset();
  static FailingCalls& now();
  static void hook(Functions& functions);
  /// Everything that was made is destroyed; says what is not.
  static void expect_nothing_left();
};

/// Functions of the table that return a VkResult.
std::vector<std::string> fallible_calls();

}  // namespace bitaxon::vulkan::test
