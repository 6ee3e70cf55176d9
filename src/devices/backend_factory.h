// How a backend makes itself known: what its devices are called, listing them, opening one.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bitaxon/devices.h"
#include "core/backend.h"

namespace bitaxon {

struct BackendFactory {
  std::string name;  ///< "vulkan"
  /// What `--device` takes: "cpu", "reference". "vulkan[:SEL]" stands for "vulkan" and for
  /// "vulkan:SEL" with any SEL that is not blank.
  std::vector<std::string> selectors;
  /// Whether auto takes the first device of this backend where no other backend has one for it.
  bool is_last_resort = false;
  /// The devices of this machine. `chosen_by_auto` marks the one that auto takes. A backend of last
  /// resort marks none.
  DeviceList (*list)();
  /// The selector in DeviceInfo of what `selector` names; `selector` itself where nothing is found.
  std::string (*resolve)(const std::string& selector);
  /// Throws as open_device does.
  std::shared_ptr<Backend> (*open)(const std::string& selector, const OpenOptions& options);
};

/// Adds a backend to those of this build, or replaces the one of its name. Not thread-safe: call it
/// at the beginning of a program.
void register_backend(const BackendFactory& factory);

}  // namespace bitaxon
