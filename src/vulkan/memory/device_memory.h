// How much memory a device has and how large objects are in it, told from its record.
#pragma once

#include "core/backend.h"
#include "vulkan/device/device_caps.h"

namespace bitaxon::vulkan {

/// Takes the heaps from `caps`. Pure except for the available memory of the system, which a device
/// with memory of its own needs as well.
DeviceMemory device_memory(const DeviceCaps& caps);

}  // namespace bitaxon::vulkan
