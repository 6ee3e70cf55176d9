//   u[r, e] = silu(bias[e] + sum_k taps[e, k] * v[r - (K-1) + k, e]), older rows from the tail
// The launches are those that follow the product of ssm_in, and a copy of z.
#include "ops/ssm_conv.h"

#include "vulkan/kernels/copy_columns.h"
#include "vulkan/kernels/ssm_launches.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

using namespace ssm_conv_operand;

struct SsmConvPlan {
  std::int64_t d_inner, d_conv;
  ScratchPlan scratch;
  ScratchPlan::Block no_tail;  ///< bound instead of the tail if the tail has no rows

  SsmConvPlan(const NodeView& node, const DeviceCaps&)
      : d_inner(node.shape(conv_weight)[1]), d_conv(node.shape(conv_weight)[2]) {
    if (d_conv == 1) no_tail = scratch.take(1);
  }
};

std::vector<Launch> launches(const LaunchContext& context, const SsmConvPlan& plan) {
  const SsmConvArgs args{.v = context.bind(vz, Access::read),
                         .read_tail = plan.d_conv > 1 ? context.bind(tail, Access::read)
                                                      : context.scratch(plan.no_tail, Access::read),
                         .u = context.bind(u, Access::write),
                         .v_width = 2 * plan.d_inner,
                         .d_inner = plan.d_inner,
                         .d_conv = plan.d_conv,
                         .conv_weight = conv_weight,
                         .conv_bias = conv_bias,
                         .tail = tail};
  const CopiedColumns of_z{.width = 2 * plan.d_inner, .first = plan.d_inner, .count = plan.d_inner};
  std::vector<Launch> all = {
      ssm_conv_launch(context, args),
      copy_columns_launch(context, args.v, context.bind(z, Access::write), of_z)};
  if (plan.d_conv > 1) all.push_back(ssm_tail_launch(context, args));
  return all;
}

}  // namespace

const VulkanKernel ssm_conv_kernel = kernel_with_plan<SsmConvPlan, launches>();

}  // namespace bitaxon::vulkan
