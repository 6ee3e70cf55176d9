// The Vulkan implementation of Backend.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/backend.h"
#include "vulkan/device/functions.h"
#include "vulkan/drivers/drivers.h"

namespace bitaxon::vulkan {

struct DeviceCaps;
struct Messages;

struct VulkanOptions {
  std::string selector = {};  ///< see choose_device; empty: the best GPU, never a CPU-type device
  /// A folder of *.comp files to compile instead of using the embedded shaders, each when it is
  /// first needed; empty: none. With such a folder, pipelines are not kept on disk and variants are
  /// not tested before use.
  std::filesystem::path shader_dir = {};
  /// Where compiled pipelines are kept; empty: they are not kept.
  std::filesystem::path cache_dir = {};
  Drivers drivers = {};  ///< see usable_drivers; the default loads all that the loader finds

  /// Steps with more floating-point operations than this are split into several submissions. The
  /// default takes a second on a device of 100 GFLOP/s; systems reset a device after two seconds or
  /// more.
  std::int64_t max_flops_per_submission = 100'000'000'000;

  // For tests.
  FunctionsHook hook = nullptr;
  Messages* messages = nullptr;  ///< for what validation layers report; outlives the backend
  /// Makes a device look like another one. May only remove capabilities.
  std::function<void(DeviceCaps&)> limit_caps = {};
  int without_barrier = -1;  ///< see RecordOptions
};

/// Throws Error(unsupported) with the reason when there is no loader, no driver, or no suitable
/// device, and Error(device) when a call fails.
std::shared_ptr<Backend> open_vulkan_backend(const VulkanOptions& options);

/// Barriers of the executable submitted last, including the one at its beginning.
int barrier_count(const Backend& backend);
const DeviceCaps& device_caps(const Backend& backend);

}  // namespace bitaxon::vulkan
