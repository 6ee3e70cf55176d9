//   q = turn(q_proj @ rms(x) + q_bias, q_norm)
//   keys[p] = turn(k_proj @ rms(x) + k_bias, k_norm)
//   values[p] = v_proj @ rms(x) + v_bias
//
// p is the position of a row. turn() normalizes each head and rotates it. For few rows, a single
// launch does everything, if subgroups can have whole parts of heads and whole words of pages.
// Otherwise there are three products. Then a launch turns the heads, if the op has something to
// turn, and a launch appends keys and values to their pages. If no two heads share a word of the
// pages, the launch that turns the heads also appends.
#include "ops/attn_in.h"

#include <cstdint>

#include "shaders/params/attn_in_vec.h"
#include "shaders/params/attn_turn.h"
#include "vulkan/kernels/attn_pages.h"
#include "vulkan/kernels/mat_vec.h"
#include "vulkan/kernels/product.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

using namespace attn_in_operand;

/// The most outputs of a subgroup.
constexpr std::uint32_t kMostOuts = 4;

struct AttnInPlan {
  std::int64_t n_rows, d_model, q_width, kv_width;
  bool half;                  ///< keys and values are float16
  std::int64_t head_dim = 0;  ///< the width of a head that is turned; 0 if none is
  bool finishes;              ///< there are biases, or heads are turned
  bool turn_appends;          ///< the launch that finishes the rows also appends them
  bool is_one_launch;         ///< one launch does everything; its keys are in scratch if turned
  ScratchPlan scratch;
  ScratchPlan::Block new_keys, new_values;
  ProductPlan product;

  AttnInPlan(const NodeView& node, const DeviceCaps& caps)
      : n_rows(node.shape(x)[0]),
        d_model(node.shape(x)[1]),
        q_width(node.shape(q)[1]),
        kv_width(node.shape(keys)[1]),
        half(node.value(keys).dtype == DType::f16) {
    for (const int operand : {q_norm, k_norm, rotary})
      if (node.has(operand)) head_dim = node.shape(operand)[2];
    finishes = head_dim > 0 || node.has(q_bias) || node.has(k_bias) || node.has(v_bias);
    turn_appends = finishes && !(half && (head_dim % 2 != 0 || kv_width % 2 != 0));
    // In float16 pages with an odd number of columns, adjacent rows share a word, which the single
    // launch cannot write.
    // A plan does not know the forms of the weights, so it counts on codes.
    is_one_launch = n_rows <= most_rows_at_once(caps, {BX_Q4}) && head_dim % kMostOuts == 0 &&
                    !(half && kv_width % 2 != 0);
    if (is_one_launch) {
      new_keys = scratch.take(head_dim > 0 ? n_rows * kv_width : 1);
      return;
    }
    new_keys = scratch.take(n_rows * kv_width);
    new_values = scratch.take(n_rows * kv_width);
    product = ProductPlan(scratch, n_rows, d_model, node.has(norm));
  }
};

/// The launch that does everything for few rows.
Launch vec_launch(const LaunchContext& context, const AttnInPlan& plan) {
  CodesChoice codes = codes_of_launch(
      context.caps, context.precision,
      {context.form(q_proj), context.form(k_proj), context.form(v_proj)}, to_uint(plan.n_rows));
  // With several forms, the subgroups of a workgroup would not multiply together.
  if (context.form(q_proj) != context.form(k_proj) || context.form(k_proj) != context.form(v_proj))
    codes = {codes_of_products(context.caps, context.precision), false, group_size(context.caps)};
  const std::uint32_t group = codes.group;
  const std::uint32_t outs = outs_per_subgroup(
      context.caps, to_uint(plan.n_rows),
      {context.form(q_proj), context.form(k_proj), context.form(v_proj)}, codes.dots);
  const auto is_there = [&](int operand) { return context.has(operand) ? 1U : 0U; };
  Launch launch;
  launch.shader = codes.dots ? Shader::attn_in_vec_dots : Shader::attn_in_vec;
  launch.specialization = {{BX_ATTN_IN_VEC_GROUP_SIZE, group},
                           {BX_ATTN_IN_VEC_NORM_FORM, context.form(norm)},
                           {BX_ATTN_IN_VEC_Q_FORM, context.form(q_proj)},
                           {BX_ATTN_IN_VEC_K_FORM, context.form(k_proj)},
                           {BX_ATTN_IN_VEC_V_FORM, context.form(v_proj)},
                           {BX_ATTN_IN_VEC_HALF, plan.half ? 1U : 0U},
                           {BX_ATTN_IN_VEC_OUTS, outs},
                           {BX_ATTN_IN_VEC_HEAD_DIM, to_uint(plan.head_dim)},
                           {BX_ATTN_IN_VEC_CODES, codes.codes},
                           {BX_ATTN_IN_VEC_Q_BIAS, is_there(q_bias)},
                           {BX_ATTN_IN_VEC_K_BIAS, is_there(k_bias)},
                           {BX_ATTN_IN_VEC_V_BIAS, is_there(v_bias)},
                           {BX_ATTN_IN_VEC_Q_NORM, is_there(q_norm)},
                           {BX_ATTN_IN_VEC_K_NORM, is_there(k_norm)},
                           {BX_ATTN_IN_VEC_ROTARY_FORM, context.form(rotary)},
                           {BX_ATTN_IN_VEC_ROWS, to_uint(plan.n_rows)}};
  launch.set_push(
      AttnInVecPush{.q = context.address(q_proj),
                    .k = context.address(k_proj),
                    .v = context.address(v_proj),
                    .norm = context.address(norm).data,
                    .q_bias = context.address(q_bias).data,
                    .k_bias = context.address(k_bias).data,
                    .v_bias = context.address(v_bias).data,
                    .q_norm = context.address(q_norm).data,
                    .k_norm = context.address(k_norm).data,
                    .rotary = context.address(rotary).data,
                    .d_model = to_uint(plan.d_model),
                    .q_width = to_uint(plan.q_width),
                    .kv_width = to_uint(plan.kv_width),
                    .n_positions = context.has(rotary) ? to_uint(context.shape(rotary)[1]) : 0,
                    .page_group = context.page_group(keys),
                    .eps = context.params<AttnInParams>().eps});
  const std::int64_t n_turned =
      plan.head_dim > 0 ? (plan.q_width + plan.kv_width) / plan.head_dim : 1;
  launch.bindings = {context.step(),
                     context.bind(x, Access::read),
                     context.bind(q, Access::read_write),
                     context.bind(keys, Access::write),
                     context.bind(values, Access::write),
                     context.scratch(plan.new_keys, Access::read_write),
                     context.counters(n_turned)};
  const auto blocks = [&](std::int64_t width) { return divide_up(to_uint(width), outs); };
  launch.grid[0].count = divide_up(blocks(plan.q_width) + 2 * blocks(plan.kv_width),
                                   subgroups_per_group(context.caps, group));
  return launch;
}

Launch turn_launch(const LaunchContext& context, const AttnInPlan& plan) {
  // Without norms and rotation, heads do not matter, and a workgroup takes a part of a row.
  constexpr std::int64_t kPartOfRow = 256;
  const std::int64_t head_dim = plan.head_dim > 0 ? plan.head_dim : kPartOfRow;
  const std::uint32_t group = group_size(context.caps, 64);
  const auto is_there = [&](int operand) { return context.has(operand) ? 1U : 0U; };
  Launch launch;
  launch.shader = Shader::attn_turn;
  launch.specialization = {{BX_ATTN_TURN_GROUP_SIZE, group},
                           {BX_ATTN_TURN_HEAD_DIM, to_uint(head_dim)},
                           {BX_ATTN_TURN_Q_BIAS, is_there(q_bias)},
                           {BX_ATTN_TURN_K_BIAS, is_there(k_bias)},
                           {BX_ATTN_TURN_V_BIAS, is_there(v_bias)},
                           {BX_ATTN_TURN_Q_NORM, is_there(q_norm)},
                           {BX_ATTN_TURN_K_NORM, is_there(k_norm)},
                           {BX_ATTN_TURN_ROTARY_FORM, context.form(rotary)},
                           {BX_ATTN_TURN_HALF, plan.half ? 1U : 0U},
                           {BX_ATTN_TURN_APPENDS, plan.turn_appends ? 1U : 0U}};
  launch.set_push(
      AttnTurnPush{.q_bias = context.address(q_bias).data,
                   .k_bias = context.address(k_bias).data,
                   .v_bias = context.address(v_bias).data,
                   .q_norm = context.address(q_norm).data,
                   .k_norm = context.address(k_norm).data,
                   .rotary = context.address(rotary).data,
                   .q_width = to_uint(plan.q_width),
                   .kv_width = to_uint(plan.kv_width),
                   .n_positions = context.has(rotary) ? to_uint(context.shape(rotary)[1]) : 0,
                   .page_group = context.page_group(keys),
                   .eps = context.params<AttnInParams>().eps});
  launch.bindings = {context.step(),
                     context.bind(q, Access::read_write),
                     context.scratch(plan.new_keys, Access::read_write),
                     context.scratch(plan.new_values, Access::read_write),
                     context.bind(keys, Access::write),
                     context.bind(values, Access::write)};
  launch.grid[0].count =
      groups_for(plan.q_width, head_dim) + 2 * groups_for(plan.kv_width, head_dim);
  launch.grid[1] = {.per = RowSpace::rows};
  return launch;
}

/// The three products, for rows that one launch cannot finish.
std::vector<Launch> products(const LaunchContext& context, const AttnInPlan& plan) {
  const struct {
    int weight;
    Binding y;
    std::int64_t width;
  } each[] = {{q_proj, context.bind(q, Access::write), plan.q_width},
              {k_proj, context.scratch(plan.new_keys, Access::write), plan.kv_width},
              {v_proj, context.scratch(plan.new_values, Access::write), plan.kv_width}};
  std::vector<Launch> all;
  for (const auto& product : each) {
    const ProductArgs args{
        .x = context.bind(x, Access::read),
        .y = product.y,
        .weight = {context.form(product.weight), context.address(product.weight)},
        .norm = {context.form(norm), context.address(norm)},
        .eps = context.params<AttnInParams>().eps,
        .n_out = product.width,
        .n_cols = plan.d_model,
        .n_rows = plan.n_rows};
    for (Launch& launch : product_launches(context, args, plan.product))
      all.push_back(std::move(launch));
  }
  return all;
}

std::vector<Launch> launches(const LaunchContext& context, const AttnInPlan& plan) {
  if (plan.is_one_launch) return {vec_launch(context, plan)};
  std::vector<Launch> all = products(context, plan);
  if (plan.finishes) all.push_back(turn_launch(context, plan));
  if (!plan.turn_appends)
    all.push_back(
        append_rows_launch(context, {.new_keys = context.scratch(plan.new_keys, Access::read),
                                     .new_values = context.scratch(plan.new_values, Access::read),
                                     .keys = keys,
                                     .values = values,
                                     .width = plan.kv_width,
                                     .half = plan.half}));
  return all;
}

}  // namespace

const VulkanKernel attn_in_kernel = kernel_with_plan<AttnInPlan, launches>();

}  // namespace bitaxon::vulkan
