//   y[r] = silu(gate @ n(x[r])) * (up @ n(x[r]))
#include "ops/swiglu.h"

#include "bitaxon/error.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

std::vector<Launch> launch(const LaunchContext&) {
  throw Error(ErrorKind::unsupported, "[swiglu] not supported by this device yet");
}

}  // namespace

const VulkanKernel swiglu_kernel = kernel_without_scratch(launch);

}  // namespace bitaxon::vulkan
