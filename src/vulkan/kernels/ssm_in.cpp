//   v, z = split(in_proj @ rms(x) + in_bias)
//   u[r, e] = silu(bias[e] + sum_k taps[e, k] * v[r - (K-1) + k, e]), older rows from the tail
//
// For few rows, there is a single launch, which can also compute the product with u that follows. For
// many rows, there are two products, then the convolution, then the new tail.
#include "ops/ssm_in.h"

#include <array>

#include "ops/linear.h"
#include "shaders/params/ssm_in.h"
#include "vulkan/kernels/mat_vec.h"
#include "vulkan/kernels/product.h"
#include "vulkan/kernels/ssm_launches.h"
#include "vulkan/kernels/team_sums.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

using namespace ssm_in_operand;

struct SsmInPlan {
  std::int64_t n_rows, d_model, d_inner, d_conv;
  bool is_one_launch;  ///< for few rows
  ScratchPlan scratch;
  ScratchPlan::Block v;        ///< [R, E]; used only for several launches
  ProductPlan product;         ///< used only for several launches
  ScratchPlan::Block no_tail;  ///< bound instead of the tail if the tail has no rows
  /// Bound instead of what only a joint kernel writes; used only for one launch.
  ScratchPlan::Block unused[3];

  SsmInPlan(const NodeView& node, const DeviceCaps&)
      : n_rows(node.shape(x)[0]),
        d_model(node.shape(x)[1]),
        d_inner(node.shape(conv_weight)[1]),
        d_conv(node.shape(conv_weight)[2]),
        is_one_launch(reads_weight_once(n_rows)) {
    if (!is_one_launch) {
      v = scratch.take(n_rows * d_inner);
      product = ProductPlan(scratch, n_rows, d_model, node.has(norm));
    }
    if (d_conv == 1) no_tail = scratch.take(1);
    if (is_one_launch)
      for (ScratchPlan::Block& block : unused) block = scratch.take(1);
  }
};

/// The fewest outputs of a workgroup. Counts on codes, because a plan does not know the form of the
/// weight.
std::uint32_t fewest_outs(const DeviceCaps& caps, const SsmInPlan& plan) {
  return subgroups_per_group(caps, group_size(caps)) *
         outs_per_subgroup(caps, to_uint(plan.n_rows), {BX_Q4});
}

/// The plan of ssm_in for few rows, and of the product that follows.
struct SsmInParamsPlan : SsmInPlan {
  std::int64_t n_params;
  TeamSums sums;

  // If the device chooses smaller subgroups, or a workgroup has more outputs, there are fewer workgroups.
  SsmInParamsPlan(const NodeView& first, const NodeView& second, const DeviceCaps& caps)
      : SsmInPlan(first, caps),
        n_params(second.shape(linear_operand::y)[1]),
        sums(scratch, groups_for(d_inner, fewest_outs(caps, *this)), n_rows * n_params) {}
};

Binding bind_tail(const LaunchContext& context, const SsmInPlan& plan, Access access) {
  if (plan.d_conv > 1) return context.bind(tail, access);
  return context.scratch(plan.no_tail, access);
}

/// The product that follows, and the memory for its sums.
struct ParamsProduct {
  WeightUse weight;
  std::int64_t n = 0;
  Binding y, sums, counters;
};

Launch vec_launch(const LaunchContext& context, const SsmInPlan& plan,
                  const ParamsProduct& params) {
  const CodesChoice codes = codes_of_launch(context.caps, context.precision,
                                            {context.form(in_proj)}, to_uint(plan.n_rows));
  const std::uint32_t group = codes.group;
  std::uint32_t outs =
      outs_per_subgroup(context.caps, to_uint(plan.n_rows), {context.form(in_proj)}, codes.dots);
  // The addresses of the second product take registers, too.
  if (params.weight.form != BX_FORM_ABSENT && plan.n_rows > 4 && has_small_lanes(context.caps))
    outs = std::min(outs, 2U);
  const auto strides = context.strides(tail);
  Launch launch;
  launch.shader = codes.dots ? Shader::ssm_in_vec_dots : Shader::ssm_in_vec;
  launch.specialization = {{BX_SSM_IN_VEC_GROUP_SIZE, group},
                           {BX_SSM_IN_VEC_FORM, context.form(in_proj)},
                           {BX_SSM_IN_VEC_NORM_FORM, context.form(norm)},
                           {BX_SSM_IN_VEC_CONV_FORM, context.form(conv_weight)},
                           {BX_SSM_IN_VEC_OUTS, outs},
                           {BX_SSM_IN_VEC_HAS_BIAS, context.has(in_bias) ? 1U : 0U},
                           {BX_SSM_IN_VEC_HAS_CONV_BIAS, context.has(conv_bias) ? 1U : 0U},
                           {BX_SSM_IN_VEC_CODES, codes.codes},
                           {BX_SSM_IN_VEC_PARAMS_FORM, params.weight.form},
                           {BX_SSM_IN_VEC_ROWS, to_uint(plan.n_rows)}};
  launch.set_push(SsmInVecPush{.in_proj = context.address(in_proj),
                               .conv_weight = context.address(conv_weight),
                               .params = params.weight.address,
                               .in_bias = context.address(in_bias).data,
                               .norm = context.address(norm).data,
                               .conv_bias = context.address(conv_bias).data,
                               .n_params = to_uint(params.n),
                               .d_inner = to_uint(plan.d_inner),
                               .d_model = to_uint(plan.d_model),
                               .d_conv = to_uint(plan.d_conv),
                               .slot_stride = strides.slot,
                               .version_stride = strides.version,
                               .eps = context.params<SsmInParams>().eps});
  launch.bindings = {context.step(),
                     context.bind(x, Access::read),
                     bind_tail(context, plan, Access::read_write),
                     context.bind(u, Access::write),
                     context.bind(z, Access::write),
                     params.y,
                     params.sums,
                     params.counters};
  launch.grid[0].count =
      groups_for(2 * plan.d_inner, subgroups_per_group(context.caps, group) * outs);
  return launch;
}

/// The launch of ssm_in alone.
Launch vec_launch(const LaunchContext& context, const SsmInPlan& plan) {
  const auto unused = [&](int i) { return context.scratch(plan.unused[i], Access::read_write); };
  return vec_launch(
      context, plan,
      {.weight = {}, .n = 0, .y = unused(0), .sums = unused(1), .counters = unused(2)});
}

std::vector<Launch> launches(const LaunchContext& context, const SsmInPlan& plan) {
  if (plan.is_one_launch) return {vec_launch(context, plan)};

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

/// Whether `second` is a plain product with all of u, and there are few rows.
bool fits(const NodeView& first, const NodeView& second) {
  if (op_of(first.node()) != OpId::ssm_in || op_of(second.node()) != OpId::linear) return false;
  const bool is_plain = !second.has(linear_operand::norm) && !second.has(linear_operand::bias) &&
                        !second.has(linear_operand::residual) &&
                        second.params<LinearParams>().select != RowSelect::outputs;
  return is_plain && reads_weight_once(first.shape(x)[0]) &&
         second.operand(linear_operand::x).value == first.operand(u).value &&
         second.shape(linear_operand::weight)[2] == first.shape(u)[1];
}

std::vector<Launch> joint_launches(const LaunchContext& first, const LaunchContext& second) {
  const SsmInParamsPlan plan(first, second, first.caps);
  return {vec_launch(
      first, plan,
      {.weight = {second.form(linear_operand::weight), second.address(linear_operand::weight)},
       .n = plan.n_params,
       .y = second.bind(linear_operand::y, Access::write),
       .sums = first.scratch(plan.sums.sums, Access::read_write),
       .counters = first.counters(plan.sums.n_counters())})};
}

}  // namespace

const JointKernel ssm_in_params_kernel{
    fits,
    [](const NodeView& first, const NodeView& second, const DeviceCaps& caps) {
      return SsmInParamsPlan(first, second, caps).scratch.size_bytes();
    },
    joint_launches};

const VulkanKernel ssm_in_kernel = kernel_with_plan<SsmInPlan, launches>();

}  // namespace bitaxon::vulkan
