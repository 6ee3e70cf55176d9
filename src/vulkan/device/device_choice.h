// Which device to use, and why or why not each. Pure: works on records.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "vulkan/device/device_caps.h"

namespace bitaxon::vulkan {

struct DeviceVerdict {
  bool usable = false;
  std::string reason;  ///< why it is chosen, or why not
};

struct DeviceChoice {
  std::optional<std::size_t> chosen;
  std::vector<DeviceVerdict> verdicts;  ///< one for each device
};

/// Without a selector (empty), a discrete GPU comes before an integrated one, and that before a
/// virtual one. Among equal types the more capable device wins: first by matrix units, then by
/// subgroup size control, then by the lower index. The size of the memory does not count. CPU-type
/// devices are never chosen.
///
/// `selector` is an index, a PCI address, a UUID, or part of the name (any case), tried in this
/// order. If it matches several devices, the first of them is chosen and the reason says so.
DeviceChoice choose_device(std::span<const DeviceCaps> devices, const std::string& selector);

/// Why nothing was chosen, in one line for the user who asked for `selector`.
std::string problem_of(const DeviceChoice& choice, std::span<const DeviceCaps> devices,
                       const std::string& selector);

}  // namespace bitaxon::vulkan
