#include "ops/moe_swiglu.h"

#include "bitaxon/error.h"
#include "vulkan/kernel.h"

namespace bitaxon::vulkan {

const VulkanKernel moe_swiglu_kernel{
    [](const Graph&, const Node&, const DeviceCaps&) { return std::size_t{0}; },
    [](const LaunchContext&) -> std::vector<Launch> {
      throw Error(ErrorKind::unsupported, "[moe_swiglu] no Vulkan kernel yet");
    }};

}  // namespace bitaxon::vulkan
