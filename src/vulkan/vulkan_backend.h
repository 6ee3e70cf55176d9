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
  std::string selector = {};  ///< see choose_device(); if empty, the best GPU, never a CPU device
  /// A folder of *.comp files that replace the embedded shaders. If empty, the embedded shaders are
  /// used. Each file is compiled when it is first needed. With a folder, pipelines are not kept on
  /// disk, and fast variants of kernels are not tested before use.
  std::filesystem::path shader_dir = {};
  /// As OpenOptions::tiles.
  std::string tiles = {};
  /// The folder where compiled pipelines are kept. If empty, no pipelines are kept.
  std::filesystem::path cache_dir = {};
  Drivers drivers = {};  ///< see usable_drivers(); by default, all drivers that the loader finds

  /// Steps with more floating-point operations than this are split into several submissions. The
  /// default takes a second on a device of 100 GFLOP/s. Operating systems reset a device whose
  /// submission runs for too long; the shortest limit is two seconds.
  std::int64_t max_flops_per_submission = 100'000'000'000;

  // For tests.
  FunctionsHook hook = nullptr;
  Messages* messages = nullptr;  ///< receives the messages of layers; must outlive the backend
  /// Makes the device look like another device. May only remove capabilities. The backend calls this
  /// again whenever it describes the device, with the reduced capabilities and the real heaps.
  std::function<void(DeviceCaps&)> limit_caps = {};
};

/// Opens the backend. Throws Error(unsupported) with the reason if there is no loader, no driver or
/// no suitable device. Throws Error(device) if a call fails.
std::shared_ptr<Backend> open_vulkan_backend(const VulkanOptions& options);

const DeviceCaps& device_caps(const Backend& backend);

}  // namespace bitaxon::vulkan
