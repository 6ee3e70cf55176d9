//   gate[r, s] = gate[e] @ x[r], up[r, s] = up[e] @ x[r], e = experts[r, s]
// The products are those of moe_down for many rows, with one row of x for all slots of a row.
#include "ops/moe_gate_up.h"

#include "shaders/params/moe_down_tile.h"
#include "vulkan/kernels/moe_group.h"
#include "vulkan/kernels/tile.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

using namespace moe_gate_up_operand;

struct GateUpPlan {
  ExpertSizes sizes;
  std::int64_t intermediate;
  ScratchPlan scratch;
  ExpertTiles tiles;

  GateUpPlan(const NodeView& node, const DeviceCaps&)
      : sizes{node.shape(x)[0], node.shape(gate)[0], node.shape(experts)[1],
              node.shape(experts)[1]},
        intermediate(node.shape(gate)[1]),
        tiles(take_expert_tiles(scratch, sizes)) {}
};

Launch product_launch(const LaunchContext& context, const GateUpPlan& plan, int weight, int out) {
  Launch launch;
  launch.shader = Shader::moe_down_tile;
  launch.specialization = {
      {BX_MOE_DOWN_TILE_GROUP_SIZE, group_size(context.caps)},
      {BX_MOE_DOWN_TILE_FORM, context.form(weight)},
      {BX_MOE_DOWN_TILE_SHARED_FORM, BX_FORM_ABSENT},
      {BX_MOE_DOWN_TILE_ROWS, rows_of_tile(plan.sizes)},
      {BX_MOE_DOWN_TILE_COLUMNS, columns_of(context.shape(x)[1], context.shape(x)[1])}};
  launch.set_push(MoeDownPush{.down = context.address(weight),
                              .shared_down = {},
                              .d_model = to_uint(plan.intermediate),
                              .intermediate = to_uint(context.shape(x)[1]),
                              .n_experts = to_uint(plan.sizes.n_experts),
                              .top_k = to_uint(plan.sizes.top_k),
                              .pairs_per_x = to_uint(plan.sizes.top_k)});
  launch.bindings = {context.scratch(plan.tiles.pairs, Access::read),
                     context.scratch(plan.tiles.tiles, Access::read), context.bind(x, Access::read),
                     context.bind(out, Access::write)};
  launch.indirect = {context.scratch(plan.tiles.grid, Access::read)};
  return launch;
}

std::vector<Launch> launches(const LaunchContext& context, const GateUpPlan& plan) {
  return {group_launch(context, plan.sizes, plan.tiles, context.bind(experts, Access::read),
                       groups_for(plan.intermediate, group_size(context.caps))),
          product_launch(context, plan, gate, gate_rows),
          product_launch(context, plan, up, up_rows)};
}

}  // namespace

const VulkanKernel moe_gate_up_kernel = kernel_with_plan<GateUpPlan, launches>();

}  // namespace bitaxon::vulkan
