// The table of Vulkan kernels: how each op becomes launches.
#pragma once

#include "ops/op.h"
#include "vulkan/run/launch.h"

namespace bitaxon::vulkan {

struct VulkanKernel {
  /// Bytes of scratch for the node's full bucket. Depends on shapes and formats, not on addresses.
  std::size_t (*workspace)(const Graph& graph, const Node& node, const DeviceCaps& caps);
  /// The node's dispatches, in order. Throws Error(unsupported) with the reason when the device
  /// cannot run them.
  std::vector<Launch> (*launch)(const LaunchContext& context);
};

// Each src/vulkan/kernels/<op>.cpp defines the kernel of its op.
#define BX_OP(name) extern const VulkanKernel name##_kernel;
#include "ops/op_list.inc"
#undef BX_OP

const VulkanKernel& kernel_of(OpId op);

}  // namespace bitaxon::vulkan
