// What a device has of memory and how large things are there, told from its record.
#pragma once

#include "bitaxon/memory.h"
#include "vulkan/device_caps.h"

namespace bitaxon::vulkan {

/// Pure but for the system's available memory, which a device with memory of its own needs beside
/// it. What the heaps have is what `caps` says.
DeviceMemory device_memory(const DeviceCaps& caps);

}  // namespace bitaxon::vulkan
