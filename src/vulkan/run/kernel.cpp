#include "vulkan/run/kernel.h"

#include "core/assert.h"

namespace bitaxon::vulkan {

const VulkanKernel& kernel_of(OpId op) {
  static constexpr const VulkanKernel* kKernels[] = {
#define BX_OP(name) &name##_kernel,
#include "ops/op_list.inc"
#undef BX_OP
  };
  const auto index = static_cast<std::size_t>(op);
  BX_ASSERT(index < std::size(kKernels), "an op of the list");
  return *kKernels[index];
}

const JointKernel* joint_kernel_of(const NodeView& first, const NodeView& second) {
  for (const JointKernel* kernel :
       {&ssm_in_params_kernel, &product_route_kernel, &selective_scan_dt_kernel})
    if (kernel->fits(first, second)) return kernel;
  return nullptr;
}

std::vector<std::vector<Launch>> launches_of(const Plan& plan, const StateLayout& layout,
                                             Precision precision, const DeviceCaps& caps) {
  std::vector<std::vector<Launch>> launches(plan.order.size());
  for (std::size_t place = 0; place < plan.order.size(); ++place) {
    LaunchContext context(caps, plan.node(place), layout, plan.scratch[place].size_bytes);
    context.precision = precision;
    if (plan.joined[place] == 0) {
      launches[place] = kernel_of(op_of(context.node())).launch(context);
      continue;
    }
    LaunchContext next(caps, plan.node(place + 1), layout, 0);
    next.precision = precision;
    launches[place] = joint_kernel_of(context, next)->launch(context, next);
    ++place;
  }
  return launches;
}

}  // namespace bitaxon::vulkan
