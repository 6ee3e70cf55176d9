//   y = turn(q, q_norm);  keys[p] = turn(k, k_norm);  values[p] = v
// p is the position of a row. turn() normalizes each head and rotates it by its position. Queries
// and keys are copied and turned in place, if the op turns heads. Then keys and values are appended
// to their pages.
#include "ops/attn_append.h"

#include "shaders/params/attn_turn.h"
#include "vulkan/kernels/attn_pages.h"
#include "vulkan/kernels/copy_columns.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

using namespace attn_append_operand;

struct AppendPlan {
  std::int64_t q_width, kv_width;
  std::int64_t head_dim;  ///< 0 if no head is turned
  bool half;              ///< keys and values are float16
  ScratchPlan scratch;
  ScratchPlan::Block turned;     ///< [R, Hk * d]: the turned keys
  ScratchPlan::Block no_values;  ///< bound instead of values that are turned

  AppendPlan(const NodeView& node, const DeviceCaps&)
      : q_width(node.shape(q)[1]),
        kv_width(node.shape(k)[1]),
        head_dim(turned_head_width(node, q_norm)),
        half(node.value(keys).dtype == DType::f16) {
    if (head_dim == 0) return;
    turned = scratch.take(node.shape(k).elements());
    no_values = scratch.take(1);
  }
};

/// Turns the heads of queries and keys in place. The grid has no heads of values.
Launch turn_launch(const LaunchContext& context, const AppendPlan& plan) {
  Launch launch;
  launch.shader = Shader::attn_turn;
  launch.specialization = {{BX_ATTN_TURN_GROUP_SIZE, group_size(context.caps, 64)},
                           {BX_ATTN_TURN_HEAD_DIM, to_uint(plan.head_dim)},
                           {BX_ATTN_TURN_Q_BIAS, 0},
                           {BX_ATTN_TURN_K_BIAS, 0},
                           {BX_ATTN_TURN_V_BIAS, 0},
                           {BX_ATTN_TURN_Q_NORM, context.has(q_norm) ? 1U : 0U},
                           {BX_ATTN_TURN_K_NORM, context.has(k_norm) ? 1U : 0U},
                           {BX_ATTN_TURN_ROTARY_FORM, context.form(rotary)},
                           {BX_ATTN_TURN_HALF, plan.half ? 1U : 0U},
                           {BX_ATTN_TURN_APPENDS, 0}};
  launch.set_push(
      AttnTurnPush{.q_bias = {},
                   .k_bias = {},
                   .v_bias = {},
                   .q_norm = context.address(q_norm).data,
                   .k_norm = context.address(k_norm).data,
                   .rotary = context.address(rotary).data,
                   .q_width = to_uint(plan.q_width),
                   .kv_width = to_uint(plan.kv_width),
                   .n_positions = context.has(rotary) ? to_uint(context.shape(rotary)[1]) : 0,
                   .page_group = context.page_group(keys),
                   .eps = context.params<AttnAppendParams>().eps});
  launch.bindings = {context.step(),
                     context.bind(y, Access::read_write),
                     context.scratch(plan.turned, Access::read_write),
                     context.scratch(plan.no_values, Access::read_write),
                     context.bind(keys, Access::write),
                     context.bind(values, Access::write)};
  launch.grid[0].count =
      groups_for(plan.q_width, plan.head_dim) + groups_for(plan.kv_width, plan.head_dim);
  launch.grid[1] = {.per = RowSpace::rows};
  return launch;
}

/// Copies all columns of the rows.
Launch copy_launch(const LaunchContext& context, const Binding& from, const Binding& to,
                   std::int64_t width) {
  return copy_columns_launch(context, from, to, {.width = width, .first = 0, .count = width});
}

std::vector<Launch> launches(const LaunchContext& context, const AppendPlan& plan) {
  std::vector<Launch> all = {copy_launch(context, context.bind(q, Access::read),
                                         context.bind(y, Access::write), plan.q_width)};
  AppendedRows rows{.new_keys = context.bind(k, Access::read),
                    .new_values = context.bind(v, Access::read),
                    .keys = keys,
                    .values = values,
                    .width = plan.kv_width,
                    .half = plan.half};
  if (plan.head_dim > 0) {
    all.push_back(copy_launch(context, context.bind(k, Access::read),
                              context.scratch(plan.turned, Access::write), plan.kv_width));
    all.push_back(turn_launch(context, plan));
    rows.new_keys = context.scratch(plan.turned, Access::read);
  }
  all.push_back(append_rows_launch(context, rows));
  return all;
}

}  // namespace

const VulkanKernel attn_append_kernel = kernel_with_plan<AppendPlan, launches>();

}  // namespace bitaxon::vulkan
