// The model on a GPU.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bitaxon/backend.h"
#include "vulkan/drivers.h"
#include "vulkan/functions.h"

namespace bitaxon::vulkan {

struct DeviceCaps;
struct Messages;

struct VulkanOptions {
  std::string selector = {};  ///< see choose_device; empty: the best GPU, never a CPU-type device
  /// Folder of *.comp files compiled instead of the embedded shaders, each when it is needed;
  /// empty: none. Pipelines are not kept then, and no variant is tried before it is used.
  std::filesystem::path shader_dir = {};
  /// Where compiled pipelines are kept; empty: nowhere.
  std::filesystem::path cache_dir = {};
  Drivers drivers = {};  ///< see usable_drivers; the default loads whatever the loader finds

  /// Steps of more floating-point operations are cut into several submissions. The default is a
  /// second on a device of 100 GFLOP/s, where systems lose patience after two or more.
  std::int64_t max_flops_per_submission = 100'000'000'000;

  // For tests.
  FunctionsHook hook = nullptr;
  Messages* messages = nullptr;  ///< gets what validation layers say; outlives the backend
  /// Makes a device look like another one; may only take away.
  std::function<void(DeviceCaps&)> limit_caps = {};
  int without_barrier = -1;  ///< see RecordOptions
};

/// Throws Error(unsupported) when there is no loader, no driver, or no device as wanted, with the
/// reason; Error(device) when a call fails.
std::unique_ptr<Backend> open_vulkan_backend(const VulkanOptions& options);

/// Barriers of the executable that was submitted last, the one at its beginning included.
int barrier_count(const Backend& backend);
const DeviceCaps& device_caps(const Backend& backend);

}  // namespace bitaxon::vulkan
