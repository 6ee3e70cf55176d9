// Chooses a device and says for each device why it is or is not chosen. Reads only the records of
// the devices.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "vulkan/device/device_caps.h"

namespace bitaxon::vulkan {

struct DeviceVerdict {
  bool usable = false;
  std::string reason;  ///< why the device is or is not chosen
};

struct DeviceChoice {
  std::optional<std::size_t> chosen;
  std::vector<DeviceVerdict> verdicts;  ///< the verdicts on all devices, in the same order
};

/// Chooses one of the devices. If `selector` is empty, discrete GPUs come first, then integrated
/// GPUs, then virtual GPUs. Among devices of one type, a device with matrix units comes first, then
/// a device with subgroup size control, then the device with the lower index. The size of the
/// memory does not count. A CPU-type device is never chosen without a selector.
///
/// `selector` is an index, a PCI address, a UUID, or part of the name (in upper or lower case).
/// These are tried in this order. If several devices match, the first of them is chosen, and the
/// reason says so.
DeviceChoice choose_device(std::span<const DeviceCaps> devices, const std::string& selector);

/// One line that tells the user who asked for `selector` why no device was chosen.
std::string problem_of(const DeviceChoice& choice, std::span<const DeviceCaps> devices,
                       const std::string& selector);

}  // namespace bitaxon::vulkan
