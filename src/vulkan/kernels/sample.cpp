#include "ops/sample.h"

#include "bitaxon/error.h"
#include "vulkan/kernel.h"

namespace bitaxon::vulkan {

const VulkanKernel sample_kernel{
    [](const Graph&, const Node&, const DeviceCaps&) { return std::size_t{0}; },
    [](const LaunchContext&) -> std::vector<Launch> {
      throw Error(ErrorKind::unsupported, "[sample] no Vulkan kernel yet");
    }};

}  // namespace bitaxon::vulkan
