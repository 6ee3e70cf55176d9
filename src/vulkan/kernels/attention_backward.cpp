// The gradients of attention, in two launches: those of the queries, row by row, and those of keys
// and values, position by position. Both compute the softmax again.
#include "ops/attention_backward.h"

#include <cmath>
#include <cstdint>
#include <limits>

#include "shaders/params/attention_back.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

using namespace attention_backward_operand;

/// The workgroups that share the positions of a segment. The number of positions is known only when
/// the step is submitted.
constexpr std::uint32_t kPositionGroups = 256;
constexpr std::uint32_t kGroupSize = 64;

struct BackwardPlan {
  AttentionParams params;
  std::int64_t head_dim;
  bool half;
  ScratchPlan scratch;
  ScratchPlan::Block stats;  ///< [R, Hq, 3]

  BackwardPlan(const NodeView& node, const DeviceCaps&)
      : params(node.params<AttentionParams>()),
        head_dim(node.shape(keys)[1] / params.n_kv_heads),
        half(node.value(keys).dtype == DType::f16),
        stats(scratch.take(node.shape(q)[0] * params.n_heads * 3)) {}
};

/// The part of a launch that both have.
Launch begin_launch(const LaunchContext& context, const BackwardPlan& plan, Shader shader) {
  Launch launch;
  launch.shader = shader;
  launch.specialization = {{BX_ATTENTION_BACK_GROUP_SIZE, group_size(context.caps, kGroupSize)},
                           {BX_ATTENTION_BACK_HEAD_DIM, to_uint(plan.head_dim)},
                           {BX_ATTENTION_BACK_HALF, plan.half ? 1U : 0U}};
  launch.set_push(AttentionBackPush{
      .n_heads = to_uint(plan.params.n_heads),
      .n_kv_heads = to_uint(plan.params.n_kv_heads),
      .window = plan.params.window == 0 ? std::numeric_limits<std::uint32_t>::max()
                                        : to_uint(plan.params.window),
      .page_group = context.page_group(keys),
      .scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(plan.head_dim)))});
  return launch;
}

std::vector<Launch> launches(const LaunchContext& context, const BackwardPlan& plan) {
  Launch of_queries = begin_launch(context, plan, Shader::attention_back);
  of_queries.bindings = {context.step(),
                         context.bind(q, Access::read),
                         context.bind(y, Access::read),
                         context.bind(g_y, Access::read),
                         context.bind(keys, Access::read),
                         context.bind(values, Access::read),
                         context.bind(g_q, Access::write),
                         context.scratch(plan.stats, Access::write)};
  of_queries.grid[0].count = to_uint(plan.params.n_heads);
  of_queries.grid[1] = {.per = RowSpace::rows};
  Launch of_keys = begin_launch(context, plan, Shader::attention_back_kv);
  of_keys.bindings = {context.step(),
                      context.bind(q, Access::read),
                      context.bind(g_y, Access::read),
                      context.bind(keys, Access::read),
                      context.bind(values, Access::read),
                      context.scratch(plan.stats, Access::read),
                      context.bind(g_keys, Access::read_write),
                      context.bind(g_values, Access::read_write)};
  of_keys.grid[0].count = kPositionGroups;
  of_keys.grid[1].count = to_uint(plan.params.n_kv_heads);
  of_keys.grid[2] = {.per = RowSpace::segments};
  return {of_queries, of_keys};
}

}  // namespace

const VulkanKernel attention_backward_kernel = kernel_with_plan<BackwardPlan, launches>();

}  // namespace bitaxon::vulkan
