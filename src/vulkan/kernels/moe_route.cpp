#include "ops/moe_route.h"

#include "bitaxon/error.h"
#include "vulkan/kernel.h"

namespace bitaxon::vulkan {

const VulkanKernel moe_route_kernel{
    [](const Graph&, const Node&, const DeviceCaps&) { return std::size_t{0}; },
    [](const LaunchContext&) -> std::vector<Launch> {
      throw Error(ErrorKind::unsupported, "[moe_route] no Vulkan kernel yet");
    }};

}  // namespace bitaxon::vulkan
