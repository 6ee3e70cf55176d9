// Chooses a device and says for each device why it is or is not chosen. Pure: works on records.
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

/// Without a selector (empty), discrete GPUs come first, then integrated GPUs, then virtual GPUs.
/// Among equal types, a device with matrix units comes first, then a device with subgroup size
/// control, then the device with the lower index. The size of the memory does not count. CPU-type
/// devices are never chosen.
///
/// `selector` is an index, a PCI address, a UUID, or part of the name (any case), tried in this
/// order. If it matches several devices, the first of them is chosen and the reason says so.
DeviceChoice choose_device(std::span<const DeviceCaps> devices, const std::string& selector);

/// Why nothing was chosen, in one line for the user who asked for `selector`.
std::string problem_of(const DeviceChoice& choice, std::span<const DeviceCaps> devices,
                       const std::string& selector);

}  // namespace bitaxon::vulkan
