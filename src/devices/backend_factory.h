// The interface of a kind of backend: the names of its devices, their list, and how to open one.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bitaxon/devices.h"
#include "core/backend.h"

namespace bitaxon {

struct BackendFactory {
  std::string name;  ///< "vulkan"
  /// The selectors that `--device` accepts, such as "cpu" and "reference". "vulkan[:SEL]" stands
  /// for "vulkan" and for "vulkan:SEL" with any SEL that is not blank.
  std::vector<std::string> selectors;
  /// If true, auto takes the first device of this backend when no other backend has marked a device
  /// as chosen_by_auto.
  bool is_last_resort = false;
  /// Lists the devices of this machine, and marks the device that auto takes as chosen_by_auto. A
  /// backend that is the last resort marks no device.
  DeviceList (*list)();
  /// Returns the DeviceInfo::selector of the device that `selector` names, or `selector` itself if
  /// there is no such device.
  std::string (*resolve)(const std::string& selector);
  /// Opens a device. Throws as open_device does.
  std::shared_ptr<Backend> (*open)(const std::string& selector, const OpenOptions& options);
};

/// Adds a backend to the backends of this build, or replaces the backend of the same name. Not
/// thread-safe: call it at the beginning of a program.
void register_backend(const BackendFactory& factory);

}  // namespace bitaxon
