//   y[r, s, :] = silu(gate[e] @ x[r]) * (up[e] @ x[r]),  e = experts[r, s]
#include "ops/moe_swiglu.h"

#include "shaders/params/moe_swiglu_tile.h"
#include "vulkan/kernels/moe_group.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

using namespace moe_swiglu_operand;

constexpr std::uint32_t kRowsPerSubgroup = 4;

ExpertSizes sizes_of(const Graph& graph, const Node& node) {
  const auto shape = [&](int index) -> const Shape& {
    return graph.value(node.operands[static_cast<std::size_t>(index)].value).shape;
  };
  return {shape(x)[0], shape(gate)[0], shape(experts)[1], shape(y)[1]};
}

std::size_t workspace(const Graph& graph, const Node& node, const DeviceCaps&) {
  ScratchPlan plan;
  const ExpertSizes sizes = sizes_of(graph, node);
  if (groups_rows(sizes)) take_expert_tiles(plan, sizes);
  return plan.size_bytes();
}

MoeSwigluShaderParams params_of(const LaunchContext& context, const ExpertSizes& sizes) {
  return {.gate = context.ref(gate),
          .up = context.ref(up),
          .shared_gate = context.ref(shared_gate),
          .shared_up = context.ref(shared_up),
          .d_model = to_uint(context.shape(gate)[2]),
          .intermediate = to_uint(context.shape(gate)[1]),
          .n_experts = to_uint(sizes.n_experts),
          .top_k = to_uint(sizes.top_k)};
}

Launch vec_launch(const LaunchContext& context, const ExpertSizes& sizes) {
  const std::uint32_t group = group_size(context.caps);
  // A subgroup is at most max_subgroup_size, so the workgroup has at least this many subgroups.
  const std::uint32_t subgroups = group / context.caps.max_subgroup_size;
  Launch launch;
  launch.shader = Shader::moe_swiglu;
  launch.specialization = {{BX_MOE_SWIGLU_GROUP_SIZE, group},
                           {BX_MOE_SWIGLU_GATE_FORM, context.form(gate)},
                           {BX_MOE_SWIGLU_UP_FORM, context.form(up)},
                           {BX_MOE_SWIGLU_SHARED_GATE_FORM, context.form(shared_gate)},
                           {BX_MOE_SWIGLU_SHARED_UP_FORM, context.form(shared_up)},
                           {BX_MOE_SWIGLU_ROWS, kRowsPerSubgroup}};
  launch.set_push(params_of(context, sizes));
  launch.bindings = {context.bind(x, Access::read), context.bind(experts, Access::read),
                     context.bind(y, Access::write)};
  launch.grid[0].count = groups_for(context.shape(gate)[1], subgroups * kRowsPerSubgroup);
  launch.grid[1].count = to_uint(sizes.n_slots);
  launch.grid[2].per = RowSpace::rows;
  return launch;
}

std::vector<Launch> tile_launches(const LaunchContext& context, const ExpertSizes& sizes) {
  ScratchPlan plan;
  const ExpertTiles tiles = take_expert_tiles(plan, sizes);
  Launch launch;
  launch.shader = Shader::moe_swiglu_tile;
  launch.specialization = {{BX_MOE_SWIGLU_TILE_GROUP_SIZE, group_size(context.caps)},
                           {BX_MOE_SWIGLU_TILE_GATE_FORM, context.form(gate)},
                           {BX_MOE_SWIGLU_TILE_UP_FORM, context.form(up)},
                           {BX_MOE_SWIGLU_TILE_SHARED_GATE_FORM, context.form(shared_gate)},
                           {BX_MOE_SWIGLU_TILE_SHARED_UP_FORM, context.form(shared_up)},
                           {BX_MOE_SWIGLU_TILE_ROWS, rows_of_tile(sizes)}};
  launch.set_push(params_of(context, sizes));
  launch.bindings = {scratch_of(context, tiles.pairs, Access::read),
                     scratch_of(context, tiles.tiles, Access::read), context.bind(x, Access::read),
                     context.bind(y, Access::write)};
  launch.indirect = {scratch_of(context, tiles.grid, Access::read)};
  const std::uint32_t n_across = groups_for(context.shape(gate)[1], group_size(context.caps) / 2);
  return {group_launch(context, sizes, tiles, context.bind(experts, Access::read), n_across),
          launch};
}

std::vector<Launch> launch(const LaunchContext& context) {
  const ExpertSizes sizes = sizes_of(context.graph, context.node);
  if (groups_rows(sizes)) return tile_launches(context, sizes);
  return {vec_launch(context, sizes)};
}

}  // namespace

const VulkanKernel moe_swiglu_kernel{workspace, launch};

}  // namespace bitaxon::vulkan
