// The table of Vulkan kernels. The kernel of an op turns a node with this op into launches.
#pragma once

#include "core/plan.h"
#include "ops/op.h"
#include "vulkan/run/launch.h"

namespace bitaxon::vulkan {

struct VulkanKernel {
  /// The bytes of scratch that the node needs if a step fills its bucket. The result depends on
  /// shapes and formats, but not on addresses.
  std::size_t (*workspace)(const NodeView& node, const DeviceCaps& caps);
  /// The dispatches of the node, in order. Throws Error(unsupported) with the reason if the device
  /// cannot run these dispatches.
  std::vector<Launch> (*launch)(const LaunchContext& context);
};

/// A kernel with scratch. The constructor Plan(node, caps) lays out the scratch in the member
/// `scratch`, a ScratchPlan, and makes all decisions that this layout depends on. Both `workspace`
/// and `launch` build a Plan from the same node and device, so their plans are equal. Therefore the
/// size from `workspace` always fits the launches.
template <class Plan, std::vector<Launch> (*launches)(const LaunchContext&, const Plan&)>
constexpr VulkanKernel kernel_with_plan() {
  return {
      [](const NodeView& node, const DeviceCaps& caps) {
        return Plan(node, caps).scratch.size_bytes();
      },
      [](const LaunchContext& context) { return launches(context, Plan(context, context.caps)); }};
}

/// A kernel without scratch.
constexpr VulkanKernel kernel_without_scratch(std::vector<Launch> (*launch)(const LaunchContext&)) {
  return {[](const NodeView&, const DeviceCaps&) { return std::size_t{0}; }, launch};
}

// Each src/vulkan/kernels/<op>.cpp defines the kernel of its op.
#define BX_OP(name) extern const VulkanKernel name##_kernel;
#include "ops/op_list.inc"
#undef BX_OP

const VulkanKernel& kernel_of(OpId op);

/// Kernels for two nodes that follow one another in a plan, where launches of one would do little. A
/// node may run alone or joined, so it keeps its own kernel.
struct JointKernel {
  /// Whether the two nodes run together.
  bool (*fits)(const NodeView& first, const NodeView& second);
  std::size_t (*workspace)(const NodeView& first, const NodeView& second, const DeviceCaps& caps);
  /// The dispatches of both nodes. The scratch of `first` is for both.
  std::vector<Launch> (*launch)(const LaunchContext& first, const LaunchContext& second);
};
extern const JointKernel ssm_in_params_kernel;
extern const JointKernel product_route_kernel;
extern const JointKernel selective_scan_dt_kernel;

/// The joint kernel of two nodes; nullptr if they run one after the other.
const JointKernel* joint_kernel_of(const NodeView& first, const NodeView& second);

/// The launches of each node of a plan. A node that runs together with the one before has none.
std::vector<std::vector<Launch>> launches_of(const Plan& plan, const StateLayout& layout,
                                             Precision precision, const DeviceCaps& caps);

}  // namespace bitaxon::vulkan
