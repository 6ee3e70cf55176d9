//   v, z = split(in_proj @ rms(x) + in_bias)
//   u[r, e] = silu(bias[e] + sum_k taps[e, k] * v[r - (K-1) + k, e]), older rows from the tail
#include "ops/ssm_in.h"

#include <array>

#include "shaders/params/ssm_in.h"
#include "vulkan/kernels/mat_vec.h"
#include "vulkan/kernels/product.h"
#include "vulkan/kernels/ssm_launches.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

using namespace ssm_in_operand;

constexpr std::uint32_t kOutsPerSubgroup = 4;

struct SsmInPlan {
  std::int64_t n_rows, d_model, d_inner, d_conv;
  ScratchPlan scratch;
  ScratchPlan::Block v;        ///< [R, E]; used only for several rows
  ProductPlan product;         ///< used only for several rows
  ScratchPlan::Block no_tail;  ///< bound instead of the tail if the tail has no rows

  SsmInPlan(const NodeView& node, const DeviceCaps&)
      : n_rows(node.shape(x)[0]),
        d_model(node.shape(x)[1]),
        d_inner(node.shape(conv_weight)[1]),
        d_conv(node.shape(conv_weight)[2]) {
    if (n_rows > 1) {
      v = scratch.take(n_rows * d_inner);
      product = ProductPlan(scratch, n_rows, d_model, node.has(norm));
    }
    if (d_conv == 1) no_tail = scratch.take(1);
  }
};

Binding bind_tail(const LaunchContext& context, const SsmInPlan& plan, Access access) {
  if (plan.d_conv > 1) return context.bind(tail, access);
  return context.scratch(plan.no_tail, access);
}

Launch vec_launch(const LaunchContext& context, const SsmInPlan& plan) {
  const std::uint32_t group = group_size(context.caps);
  const std::uint32_t rows_per_group = subgroups_per_group(context.caps, group) * kOutsPerSubgroup;
  const auto strides = context.strides(tail);
  Launch launch;
  launch.shader = Shader::ssm_in_vec;
  launch.specialization = {
      {BX_SSM_IN_VEC_GROUP_SIZE, group},
      {BX_SSM_IN_VEC_FORM, context.form(in_proj)},
      {BX_SSM_IN_VEC_NORM_FORM, context.form(norm)},
      {BX_SSM_IN_VEC_CONV_FORM, context.form(conv_weight)},
      {BX_SSM_IN_VEC_OUTS, kOutsPerSubgroup},
      {BX_SSM_IN_VEC_HAS_BIAS, context.has(in_bias) ? 1U : 0U},
      {BX_SSM_IN_VEC_HAS_CONV_BIAS, context.has(conv_bias) ? 1U : 0U},
      {BX_SSM_IN_VEC_CODES, codes_of_products(context.caps, context.precision)}};
  launch.set_push(SsmInVecPush{.in_proj = context.address(in_proj),
                               .in_bias = context.address(in_bias),
                               .norm = context.address(norm),
                               .conv_weight = context.address(conv_weight),
                               .conv_bias = context.address(conv_bias),
                               .d_inner = to_uint(plan.d_inner),
                               .d_model = to_uint(plan.d_model),
                               .d_conv = to_uint(plan.d_conv),
                               .slot_stride = strides.slot,
                               .version_stride = strides.version,
                               .eps = context.params<SsmInParams>().eps});
  launch.bindings = {context.step(), context.bind(x, Access::read),
                     bind_tail(context, plan, Access::read_write), context.bind(u, Access::write),
                     context.bind(z, Access::write)};
  launch.grid[0].count = groups_for(2 * plan.d_inner, rows_per_group);
  return launch;
}

std::vector<Launch> launches(const LaunchContext& context, const SsmInPlan& plan) {
  if (plan.n_rows == 1) return {vec_launch(context, plan)};

  const ProductArgs of_v{.x = context.bind(x, Access::read),
                         .y = context.scratch(plan.v, Access::write),
                         .weight = {context.form(in_proj), context.address(in_proj)},
                         .bias = {context.form(in_bias), context.address(in_bias)},
                         .norm = {context.form(norm), context.address(norm)},
                         .eps = context.params<SsmInParams>().eps,
                         .n_out = plan.d_inner,
                         .n_cols = plan.d_model,
                         .n_rows = plan.n_rows};
  ProductArgs of_z = of_v;
  of_z.y = context.bind(z, Access::write);
  of_z.weight_row = plan.d_inner;
  std::vector<Launch> all = product_launches(context, std::array{of_v, of_z}, plan.product);
  const SsmConvArgs args{.v = context.scratch(plan.v, Access::read),
                         .read_tail = bind_tail(context, plan, Access::read),
                         .u = context.bind(u, Access::write),
                         .v_width = plan.d_inner,
                         .d_inner = plan.d_inner,
                         .d_conv = plan.d_conv,
                         .conv_weight = conv_weight,
                         .conv_bias = conv_bias,
                         .tail = tail};
  all.push_back(ssm_conv_launch(context, args));
  if (plan.d_conv > 1) all.push_back(ssm_tail_launch(context, args));
  return all;
}

}  // namespace

const VulkanKernel ssm_in_kernel = kernel_with_plan<SsmInPlan, launches>();

}  // namespace bitaxon::vulkan
