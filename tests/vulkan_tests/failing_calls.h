// Makes Vulkan functions fail on request, counts their calls, and keeps track of created objects.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "vulkan/device/functions.h"

namespace bitaxon::vulkan::test {

/// States which call fails, and counts all calls. hook() is a hook for Instance that wraps all
/// functions of the driver that return a VkResult or destroy an object. A test fails if it destroys
/// an object that does not exist.
struct FailingCalls {
  std::string name;    ///< the function that fails; empty: no function
  int first = 1;       ///< number of the first failing call; 1 is its first call
  int n_failures = 1;  ///< number of successive failing calls
  VkResult result = VK_ERROR_OUT_OF_HOST_MEMORY;  ///< result of each failing call
  std::string missing;  ///< a function that the loader or the driver does not have

  std::map<std::string, int> n_calls;
  int n_failed = 0;
  /// Whether the device is lost. Every function that can report a lost device then does so.
  bool lost = false;

  /// Makes all functions work again and resets the counts.
  static void reset();
  static FailingCalls& now();
  static void hook(Functions& functions);
  /// Expects that every created object has been destroyed. A failure names the objects that still
  /// exist.
  static void expect_nothing_left();
};

/// The names of the functions in the table that return a VkResult.
std::vector<std::string> fallible_calls();

}  // namespace bitaxon::vulkan::test
