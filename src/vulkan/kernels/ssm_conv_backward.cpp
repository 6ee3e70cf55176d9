//   g_a[r, e] = g_u[r, e] * silu'(a[r, e]);  g_v[r, e] = sum_k taps[e, k] * g_a[r + K-1-k, e]
// Rows of g_a behind the segment come from the carry.
#include "ops/ssm_conv_backward.h"

#include "shaders/params/ssm_conv_backward.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

using namespace ssm_conv_backward_operand;

struct BackwardPlan {
  std::int64_t d_inner, d_conv;
  ScratchPlan scratch;
  ScratchPlan::Block g_a;      ///< [R, E]
  ScratchPlan::Block no_rows;  ///< bound instead of a tail or carry without rows

  BackwardPlan(const NodeView& node, const DeviceCaps&)
      : d_inner(node.shape(conv_weight)[1]),
        d_conv(node.shape(conv_weight)[2]),
        g_a(scratch.take(node.shape(vz)[0] * d_inner)) {
    if (d_conv == 1) no_rows = scratch.take(1);
  }
};

Binding bind_rows(const LaunchContext& context, const BackwardPlan& plan, int operand) {
  if (plan.d_conv > 1) return context.bind(operand, Access::read);
  return context.scratch(plan.no_rows, Access::read);
}

Launch slope_launch(const LaunchContext& context, const BackwardPlan& plan) {
  const std::uint32_t group = group_size(context.caps);
  const auto strides = context.strides(tail);
  Launch launch;
  launch.shader = Shader::ssm_conv_slope;
  launch.specialization = {{BX_SSM_CONV_SLOPE_GROUP_SIZE, group},
                           {BX_SSM_CONV_SLOPE_FORM, context.form(conv_weight)},
                           {BX_SSM_CONV_SLOPE_HAS_BIAS, context.has(conv_bias) ? 1U : 0U}};
  launch.set_push(SsmConvSlopePush{.conv_weight = context.address(conv_weight),
                                   .conv_bias = context.address(conv_bias),
                                   .d_inner = to_uint(plan.d_inner),
                                   .v_width = to_uint(2 * plan.d_inner),
                                   .d_conv = to_uint(plan.d_conv),
                                   .slot_stride = strides.slot,
                                   .version_stride = strides.version});
  launch.bindings = {context.step(), context.bind(vz, Access::read), bind_rows(context, plan, tail),
                     context.bind(g_u, Access::read), context.scratch(plan.g_a, Access::write)};
  launch.grid[0].count = groups_for(plan.d_inner, group);
  launch.grid[1] = {.per = RowSpace::rows};
  return launch;
}

Launch back_launch(const LaunchContext& context, const BackwardPlan& plan) {
  const std::uint32_t group = group_size(context.caps);
  const auto strides = context.strides(carry);
  Launch launch;
  launch.shader = Shader::ssm_conv_back;
  launch.specialization = {{BX_SSM_CONV_BACK_GROUP_SIZE, group},
                           {BX_SSM_CONV_BACK_FORM, context.form(conv_weight)}};
  launch.set_push(SsmConvBackPush{.conv_weight = context.address(conv_weight),
                                  .d_inner = to_uint(plan.d_inner),
                                  .d_conv = to_uint(plan.d_conv),
                                  .slot_stride = strides.slot,
                                  .version_stride = strides.version});
  launch.bindings = {context.step(), context.scratch(plan.g_a, Access::read),
                     context.bind(g_z, Access::read), bind_rows(context, plan, carry),
                     context.bind(g_vz, Access::write)};
  launch.grid[0].count = groups_for(plan.d_inner, group);
  launch.grid[1] = {.per = RowSpace::rows};
  return launch;
}

Launch carry_launch(const LaunchContext& context, const BackwardPlan& plan) {
  const std::uint32_t group = group_size(context.caps);
  const auto strides = context.strides(carry);
  Launch launch;
  launch.shader = Shader::ssm_conv_carry;
  launch.specialization = {{BX_SSM_CONV_CARRY_GROUP_SIZE, group}};
  launch.set_push(SsmConvCarryPush{.d_inner = to_uint(plan.d_inner),
                                   .d_conv = to_uint(plan.d_conv),
                                   .slot_stride = strides.slot,
                                   .version_stride = strides.version});
  launch.bindings = {context.step(), context.scratch(plan.g_a, Access::read),
                     context.bind(carry, Access::read_write)};
  launch.grid[0].count = groups_for(plan.d_inner, group);
  launch.grid[1] = {.per = RowSpace::segments};
  return launch;
}

std::vector<Launch> launches(const LaunchContext& context, const BackwardPlan& plan) {
  std::vector<Launch> all = {slope_launch(context, plan), back_launch(context, plan)};
  if (plan.d_conv > 1) all.push_back(carry_launch(context, plan));
  return all;
}

}  // namespace

const VulkanKernel ssm_conv_backward_kernel = kernel_with_plan<BackwardPlan, launches>();

}  // namespace bitaxon::vulkan
