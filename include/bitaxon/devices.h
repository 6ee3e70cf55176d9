// The devices of this machine, and opening one as a backend.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bitaxon/backend.h"

namespace bitaxon {

struct DeviceInfo {
  std::string selector;  ///< what --device takes: "cpu", "reference"
  std::string name;
  std::string type;  ///< "cpu"
  std::uint64_t memory_total_bytes = 0;
  std::uint64_t memory_available_bytes = 0;
  int n_threads = 0;
  bool chosen_by_auto = false;
  std::string reason;  ///< why it is chosen by auto, or why not
};

std::vector<DeviceInfo> list_devices();

/// Backends this build has: "cpu", "reference".
std::vector<std::string> built_backends();

struct OpenedDevice {
  std::unique_ptr<Backend> backend;
  std::string reason;  ///< for auto: why this one
};

/// Opens `selector`: auto, cpu, reference, vulkan[:SEL]. A named device that cannot be used is an
/// Error(unsupported), never a fallback; an unknown one an Error(invalid_argument).
/// n_threads 0: one for each usable core (reference: one).
OpenedDevice open_device(const std::string& selector, int n_threads = 0);

/// What is wrong with the form of `selector`; empty when it names a kind of device that exists,
/// whether or not it can be opened here.
std::optional<std::string> selector_problem(const std::string& selector);

}  // namespace bitaxon
