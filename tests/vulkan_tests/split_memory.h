// A device whose own memory the host does not see, as discrete GPUs have it, made of any device.
#pragma once

#include "vulkan/vulkan_backend.h"

namespace bitaxon::vulkan::test {

/// Each memory type becomes two: the device's own, which the host does not see, and one that the
/// host sees but that is not the device's own. Put in front of the functions that `hook` has put
/// into the table.
void split_memory(VulkanOptions& options, FunctionsHook hook);

}  // namespace bitaxon::vulkan::test
