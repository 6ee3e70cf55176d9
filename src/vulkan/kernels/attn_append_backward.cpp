// The gradients of attn_append: the rotation and the norm of each head, backwards.
#include "ops/attn_append_backward.h"

#include "shaders/params/attn_turn_back.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

using namespace attn_append_backward_operand;

std::vector<Launch> launches(const LaunchContext& context) {
  // Without norms and rotation, heads do not matter, and a workgroup takes a part of a row.
  constexpr std::int64_t kPartOfRow = 256;
  const std::int64_t turned = turned_head_width(context, q_norm);
  const std::int64_t head_dim = turned > 0 ? turned : kPartOfRow;
  const std::int64_t q_width = context.shape(q)[1];
  const std::int64_t kv_width = context.shape(k)[1];
  Launch launch;
  launch.shader = Shader::attn_turn_back;
  launch.specialization = {{BX_ATTN_TURN_BACK_GROUP_SIZE, group_size(context.caps, 64)},
                           {BX_ATTN_TURN_BACK_HEAD_DIM, to_uint(head_dim)},
                           {BX_ATTN_TURN_BACK_Q_NORM, context.has(q_norm) ? 1U : 0U},
                           {BX_ATTN_TURN_BACK_K_NORM, context.has(k_norm) ? 1U : 0U},
                           {BX_ATTN_TURN_BACK_ROTARY_FORM, context.form(rotary)}};
  launch.set_push(
      AttnTurnBackPush{.q_norm = context.address(q_norm).data,
                       .k_norm = context.address(k_norm).data,
                       .rotary = context.address(rotary).data,
                       .q_width = to_uint(q_width),
                       .kv_width = to_uint(kv_width),
                       .n_positions = context.has(rotary) ? to_uint(context.shape(rotary)[1]) : 0,
                       .page_group = context.page_group(g_keys),
                       .eps = context.params<AttnAppendParams>().eps});
  launch.bindings = {context.step(),
                     context.bind(q, Access::read),
                     context.bind(k, Access::read),
                     context.bind(g_y, Access::read),
                     context.bind(g_keys, Access::read),
                     context.bind(g_values, Access::read),
                     context.bind(g_q, Access::write),
                     context.bind(g_k, Access::write),
                     context.bind(g_v, Access::write)};
  launch.grid[0].count = groups_for(q_width, head_dim) + 2 * groups_for(kv_width, head_dim);
  launch.grid[1] = {.per = RowSpace::rows};
  return {launch};
}

}  // namespace

const VulkanKernel attn_append_backward_kernel = kernel_without_scratch(launches);

}  // namespace bitaxon::vulkan
