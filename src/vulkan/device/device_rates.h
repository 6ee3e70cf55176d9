// Measures the highest rates of a device, such as its read rate. The speed of kernels is compared
// with these limits.
#pragma once

#include "bitaxon/backend.h"
#include "vulkan/memory/transfer.h"
#include "vulkan/program/pipeline.h"

namespace bitaxon::vulkan {

/// Measures the rates of `device`. This takes about a second on a CPU-type device and less on other
/// devices. Nothing else may run on the device. Throws Error(device) when a call fails, or when the
/// results show that the device did not read all words or computed a wrong value.
DeviceRates measure_rates(const Device& device, MemoryAllocator& memory, PipelineLibrary& pipelines,
                          Transfer& transfer);

}  // namespace bitaxon::vulkan
