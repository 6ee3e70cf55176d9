//   u[r, e] = silu(bias[e] + sum_k taps[e, k] * v[r - (K-1) + k, e]), older rows from the tail
// The launches are those that follow the product of ssm_in, and a copy of z.
#include "ops/ssm_conv.h"

#include "shaders/params/copy_columns.h"
#include "shaders/params/ssm_in.h"
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

Launch conv_launch(const LaunchContext& context, const SsmConvPlan& plan) {
  const std::uint32_t group = group_size(context.caps);
  const auto strides = context.strides(tail);
  Launch launch;
  launch.shader = Shader::ssm_conv;
  launch.specialization = {{BX_SSM_CONV_GROUP_SIZE, group},
                           {BX_SSM_CONV_FORM, context.form(conv_weight)},
                           {BX_SSM_CONV_HAS_BIAS, context.has(conv_bias) ? 1U : 0U}};
  launch.set_push(SsmConvPush{.conv_weight = context.address(conv_weight),
                              .conv_bias = context.address(conv_bias),
                              .d_inner = to_uint(plan.d_inner),
                              .v_width = to_uint(2 * plan.d_inner),
                              .d_conv = to_uint(plan.d_conv),
                              .slot_stride = strides.slot,
                              .version_stride = strides.version});
  launch.bindings = {context.step(), context.bind(vz, Access::read),
                     plan.d_conv > 1 ? context.bind(tail, Access::read)
                                     : context.scratch(plan.no_tail, Access::read),
                     context.bind(u, Access::write)};
  launch.grid[0].count = groups_for(plan.d_inner, group);
  launch.grid[1] = {.per = RowSpace::rows};
  return launch;
}

Launch copy_launch(const LaunchContext& context, const SsmConvPlan& plan) {
  const std::uint32_t group = group_size(context.caps);
  Launch launch;
  launch.shader = Shader::copy_columns;
  launch.specialization = {{BX_COPY_COLUMNS_GROUP_SIZE, group}};
  launch.set_push(CopyColumnsPush{.n_cols = to_uint(plan.d_inner),
                                  .x_width = to_uint(2 * plan.d_inner),
                                  .x_first = to_uint(plan.d_inner)});
  launch.bindings = {context.bind(vz, Access::read), context.bind(z, Access::write)};
  launch.grid[0].count = groups_for(plan.d_inner, group);
  launch.grid[1] = {.per = RowSpace::rows};
  return launch;
}

Launch tail_launch(const LaunchContext& context, const SsmConvPlan& plan) {
  const std::uint32_t group = group_size(context.caps);
  const auto strides = context.strides(tail);
  Launch launch;
  launch.shader = Shader::ssm_tail;
  launch.specialization = {{BX_SSM_TAIL_GROUP_SIZE, group}};
  launch.set_push(SsmTailPush{.d_inner = to_uint(plan.d_inner),
                              .v_width = to_uint(2 * plan.d_inner),
                              .d_conv = to_uint(plan.d_conv),
                              .slot_stride = strides.slot,
                              .version_stride = strides.version});
  launch.bindings = {context.step(), context.bind(vz, Access::read),
                     context.bind(tail, Access::read_write)};
  launch.grid[0].count = groups_for(plan.d_inner, group);
  launch.grid[1] = {.per = RowSpace::segments};
  return launch;
}

std::vector<Launch> launches(const LaunchContext& context, const SsmConvPlan& plan) {
  std::vector<Launch> all = {conv_launch(context, plan), copy_launch(context, plan)};
  if (plan.d_conv > 1) all.push_back(tail_launch(context, plan));
  return all;
}

}  // namespace

const VulkanKernel ssm_conv_kernel = kernel_with_plan<SsmConvPlan, launches>();

}  // namespace bitaxon::vulkan
