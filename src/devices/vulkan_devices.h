// Vulkan devices as the rest of the program sees them.
#pragma once

#include <memory>
#include <string>

#include "bitaxon/devices.h"

namespace bitaxon {

/// Those of this machine; a note when there is no loader, no driver, or a driver that fails.
DeviceList vulkan_devices();

/// As resolve_device. `selector`: "vulkan" or "vulkan:SEL".
std::string resolve_vulkan(const std::string& selector);

/// The number of threads is none of its business.
std::unique_ptr<Backend> open_vulkan(const std::string& selector, const OpenOptions& options);

}  // namespace bitaxon
