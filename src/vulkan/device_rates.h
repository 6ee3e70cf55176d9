// What a device reaches at best, measured on it: the limits that kernels are held against.
#pragma once

#include "bitaxon/backend.h"
#include "vulkan/pipeline.h"
#include "vulkan/transfer.h"

namespace bitaxon::vulkan {

/// Takes about a second on a CPU-type device, less on others. Nothing else may run on the device.
/// Throws Error(device) for what its calls fail of, and when the device has not read what is there
/// or has computed something else.
DeviceRates measure_rates(const Device& device, MemoryAllocator& memory, PipelineLibrary& pipelines,
                          Transfer& transfer);

}  // namespace bitaxon::vulkan
