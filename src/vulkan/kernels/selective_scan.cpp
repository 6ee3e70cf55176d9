#include "ops/selective_scan.h"

#include "bitaxon/error.h"
#include "vulkan/kernel.h"

namespace bitaxon::vulkan {

const VulkanKernel selective_scan_kernel{
    [](const Graph&, const Node&, const DeviceCaps&) { return std::size_t{0}; },
    [](const LaunchContext&) -> std::vector<Launch> {
      throw Error(ErrorKind::unsupported, "[selective_scan] no Vulkan kernel yet");
    }};

}  // namespace bitaxon::vulkan
