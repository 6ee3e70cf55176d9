#include "ops/ssm_in.h"

#include "bitaxon/error.h"
#include "vulkan/kernel.h"

namespace bitaxon::vulkan {

const VulkanKernel ssm_in_kernel{
    [](const Graph&, const Node&, const DeviceCaps&) { return std::size_t{0}; },
    [](const LaunchContext&) -> std::vector<Launch> {
      throw Error(ErrorKind::unsupported, "[ssm_in] no Vulkan kernel yet");
    }};

}  // namespace bitaxon::vulkan
