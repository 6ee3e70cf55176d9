// Makes any device look like a discrete GPU with memory that the host cannot map.
#pragma once

#include "vulkan/vulkan_backend.h"

namespace bitaxon::vulkan::test {

/// Replaces each memory type by two types: one that is device-local but not visible to the host,
/// and one that is visible to the host but not device-local. Wraps the functions that `hook` puts
/// into the table.
void split_memory(VulkanOptions& options, FunctionsHook hook);

}  // namespace bitaxon::vulkan::test
