//   g_x[r] = sum_s gate[e]^T g_gate[r, s] + up[e]^T g_up[r, s], e = experts[r, s]
#include "ops/moe_gate_up_backward.h"

#include "shaders/params/moe_back.h"
#include "vulkan/kernels/moe_back.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

using namespace moe_gate_up_backward_operand;

struct BackwardPlan {
  ScratchPlan scratch;
  MoeBackPlan back;
  ScratchPlan::Block products;  ///< [R, top_k, D]

  BackwardPlan(const NodeView& node, const DeviceCaps&)
      : back(scratch, {node.shape(g_x)[0], node.shape(gate)[0], node.shape(experts)[1],
                       node.shape(experts)[1]}),
        products(scratch.take(node.shape(experts).elements() * node.shape(g_x)[1])) {}
};

std::vector<Launch> launches(const LaunchContext& context, const BackwardPlan& plan) {
  const Binding products = context.scratch(plan.products, Access::read_write);
  const std::uint32_t group = group_size(context.caps);
  const std::int64_t d_model = context.shape(g_x)[1];
  Launch sum;
  sum.shader = Shader::moe_back_sum;
  sum.specialization = {{BX_MOE_BACK_SUM_GROUP_SIZE, group}};
  sum.set_push(
      MoeBackSumPush{.d_model = to_uint(d_model), .top_k = to_uint(context.shape(experts)[1])});
  sum.bindings = {context.scratch(plan.products, Access::read), context.bind(g_x, Access::write)};
  sum.grid[0].count = groups_for(d_model, group);
  sum.grid[1] = {.per = RowSpace::rows};
  return {moe_back_group(context, plan.back, experts, d_model),
          moe_back_launch(context, plan.back,
                          {.g = context.bind(g_gate, Access::read), .weight = gate, .y = products}),
          moe_back_launch(
              context, plan.back,
              {.g = context.bind(g_up, Access::read), .weight = up, .y = products, .adds = true}),
          sum};
}

}  // namespace

const VulkanKernel moe_gate_up_backward_kernel = kernel_with_plan<BackwardPlan, launches>();

}  // namespace bitaxon::vulkan
