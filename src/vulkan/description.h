// Describes a device for the Vulkan backend without opening it.
#pragma once

#include <memory>

#include "core/backend_description.h"
#include "vulkan/device/device_caps.h"

namespace bitaxon::vulkan {

/// Takes the heaps from `caps`. Also asks the system for its available memory if the device is not
/// a CPU. Otherwise pure.
std::shared_ptr<const BackendDescription> describe_device(const DeviceCaps& caps);

}  // namespace bitaxon::vulkan
