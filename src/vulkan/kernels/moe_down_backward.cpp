//   a[r, s] = down[e]^T g_y[r], e = experts[r, s]
//   g_act[r, s] = gates[r, s] * a[r, s];  g_gates[r, s] = dot(a[r, s], act[r, s])
#include "ops/moe_down_backward.h"

#include "shaders/params/moe_back.h"
#include "vulkan/kernels/moe_back.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

using namespace moe_down_backward_operand;

struct BackwardPlan {
  ScratchPlan scratch;
  MoeBackPlan back;
  ScratchPlan::Block products;  ///< [R, top_k, I]

  BackwardPlan(const NodeView& node, const DeviceCaps&)
      : back(scratch, {node.shape(g_y)[0], node.shape(down)[0], node.shape(experts)[1],
                       node.shape(experts)[1]}),
        products(scratch.take(node.shape(act).elements())) {}
};

std::vector<Launch> launches(const LaunchContext& context, const BackwardPlan& plan) {
  const std::int64_t top_k = context.shape(experts)[1];
  Launch finish;
  finish.shader = Shader::moe_back_gates;
  finish.specialization = {{BX_MOE_BACK_GATES_GROUP_SIZE, group_size(context.caps)}};
  finish.set_push(
      MoeBackGatesPush{.intermediate = to_uint(context.shape(act)[2]), .top_k = to_uint(top_k)});
  finish.bindings = {context.scratch(plan.products, Access::read), context.bind(act, Access::read),
                     context.bind(gates, Access::read), context.bind(g_act, Access::write),
                     context.bind(g_gates, Access::write)};
  finish.grid[0].count = to_uint(top_k);
  finish.grid[1] = {.per = RowSpace::rows};
  return {moe_back_group(context, plan.back, experts, context.shape(act)[2]),
          moe_back_launch(context, plan.back,
                          {.g = context.bind(g_y, Access::read),
                           .shares_g = true,
                           .weight = down,
                           .y = context.scratch(plan.products, Access::read_write)}),
          finish};
}

}  // namespace

const VulkanKernel moe_down_backward_kernel = kernel_with_plan<BackwardPlan, launches>();

}  // namespace bitaxon::vulkan
