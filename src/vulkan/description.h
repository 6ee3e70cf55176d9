// What the Vulkan backend can be asked about a device without opening it.
#pragma once

#include <memory>

#include "core/backend_description.h"
#include "vulkan/device/device_caps.h"

namespace bitaxon::vulkan {

/// Takes the heaps from `caps`. Pure except for the available memory of the system, which a device
/// with memory of its own needs as well.
std::shared_ptr<const BackendDescription> describe_device(const DeviceCaps& caps);

}  // namespace bitaxon::vulkan
