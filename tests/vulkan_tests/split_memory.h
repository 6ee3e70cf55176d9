// Makes any device look like a discrete GPU whose own memory the host cannot map.
#pragma once

#include "vulkan/vulkan_backend.h"

namespace bitaxon::vulkan::test {

/// Splits each memory type into two types: a device-local type that is not visible to the host, and
/// a host-visible type that is not device-local. Wraps the functions that `hook` has put into the
/// table.
void split_memory(VulkanOptions& options, FunctionsHook hook);

}  // namespace bitaxon::vulkan::test
