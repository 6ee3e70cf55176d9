// Describes a device for the Vulkan backend without opening it.
#pragma once

#include <memory>

#include "core/backend_description.h"
#include "vulkan/device/device_caps.h"

namespace bitaxon::vulkan {

/// Describes the device with the heaps and limits in `caps`. If the device is not a CPU, also asks
/// the system for its available memory. Otherwise the result depends on `caps` alone.
std::shared_ptr<const BackendDescription> describe_device(const DeviceCaps& caps);

}  // namespace bitaxon::vulkan
