// What the figures of a pipeline follow from, taken from what a driver says about it.
#pragma once

#include "gpu_code/figures.h"
#include "gpu_code/null_gpu.h"

namespace bitaxon::gpu_code {

/// Throws Error(device) if the driver does not tell a number that it is expected to tell.
PipelineCode pipeline_code(Vendor vendor, const DriverCode& driver, const vulkan::Launch& launch);

}  // namespace bitaxon::gpu_code
