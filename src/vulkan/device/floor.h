// The floor: the features and limits that every device must have.
#pragma once

#include <string>
#include <vector>

#include "vulkan/device/device_caps.h"

namespace bitaxon::vulkan {

/// The requirements of the floor that the device does not meet. Each is one line with the actual
/// value and the required value. Empty if the device can be used. The floor is Vulkan 1.2 with
/// buffer addresses, timeline semaphores, synchronization2, scalar block layout, and the subgroup
/// operations basic, vote, arithmetic and shuffle. The limits in device_caps.h also belong to the
/// floor.
std::vector<std::string> missing_of(const DeviceCaps& caps);

}  // namespace bitaxon::vulkan
