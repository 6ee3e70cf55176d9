// Which device to use, with a reason for each. Pure: works on records.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "vulkan/device_caps.h"

namespace bitaxon::vulkan {

struct DeviceVerdict {
  bool usable = false;
  std::string reason;  ///< why it is chosen, or why not
};

struct DeviceChoice {
  std::optional<std::size_t> chosen;
  std::vector<DeviceVerdict> verdicts;  ///< one for each device
};

/// Without a selector: a discrete GPU before an integrated before a virtual one; among equals the
/// more capable (more device-local memory is no argument; matrix units, subgroup size control, the
/// lower index are, in this order). CPU-type devices are never chosen.
/// `selector`: index, PCI address, UUID, or part of the name (any case), tried in this order; one
/// that names several devices takes the first of them and the reason says so.
/// An empty selector is none.
DeviceChoice choose_device(std::span<const DeviceCaps> devices, const std::string& selector);

/// Why nothing was chosen, in one line for the user who asked for `selector`.
std::string problem_of(const DeviceChoice& choice, std::span<const DeviceCaps> devices,
                       const std::string& selector);

}  // namespace bitaxon::vulkan
