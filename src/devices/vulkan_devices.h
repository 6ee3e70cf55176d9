// Lists, resolves and opens Vulkan devices for the rest of the program.
#pragma once

#include <memory>
#include <string>

#include "bitaxon/devices.h"

namespace bitaxon {

/// The Vulkan devices of this machine. The list has a note when there is no loader, no driver, or a
/// driver that fails.
DeviceList vulkan_devices();

/// Like resolve_device(). `selector`: "vulkan" or "vulkan:SEL".
std::string resolve_vulkan(const std::string& selector);

/// Opens a Vulkan device. Ignores the number of threads in `options`.
std::unique_ptr<Backend> open_vulkan(const std::string& selector, const OpenOptions& options);

}  // namespace bitaxon
