// Measures the highest rates of a device: the limits that kernels are compared with.
#pragma once

#include "bitaxon/backend.h"
#include "vulkan/memory/transfer.h"
#include "vulkan/program/pipeline.h"

namespace bitaxon::vulkan {

/// Takes about a second on a CPU-type device, less on others. Nothing else may run on the device.
/// Throws Error(device) when a call fails, or when a result shows that the device did not read all
/// words or computed a wrong value.
DeviceRates measure_rates(const Device& device, MemoryAllocator& memory, PipelineLibrary& pipelines,
                          Transfer& transfer);

}  // namespace bitaxon::vulkan
