// Makes any device look like a discrete GPU whose own memory the host cannot map.
#pragma once

#include "vulkan/vulkan_backend.h"

namespace bitaxon::vulkan::test {

/// Splits each memory type into two: one that is device-local and not visible to the host, and one
/// that is visible to the host and not device-local. Wraps the functions that `hook` has put into
/// the table.
void split_memory(VulkanOptions& options, FunctionsHook hook);

}  // namespace bitaxon::vulkan::test
