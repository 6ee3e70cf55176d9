//   y[r] = residual[r] + sum_s gates[r, s] * (down[experts[r, s]] @ act[r, s]) + shared slot
#include "ops/moe_down.h"

#include "shaders/params/moe_combine.h"
#include "shaders/params/moe_down_tile.h"
#include "vulkan/kernels/moe_group.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

using namespace moe_down_operand;

constexpr std::uint32_t kRowsPerSubgroup = 2;

const Shape& shape_of(const Graph& graph, const Node& node, int index) {
  return graph.value(node.operands[static_cast<std::size_t>(index)].value).shape;
}

ExpertSizes sizes_of(const Graph& graph, const Node& node) {
  const Shape& slots = shape_of(graph, node, act);
  return {slots[0], shape_of(graph, node, down)[0], shape_of(graph, node, experts)[1], slots[1]};
}

struct Scratch {
  ExpertTiles tiles;
  ScratchPlan::Block products;  ///< [R, slots, D]
};
Scratch take_scratch(ScratchPlan& plan, const ExpertSizes& sizes, std::int64_t d_model) {
  const ExpertTiles tiles = take_expert_tiles(plan, sizes);
  return {tiles, plan.take(sizes.n_rows * sizes.n_slots * d_model)};
}

std::size_t workspace(const Graph& graph, const Node& node, const DeviceCaps&) {
  ScratchPlan plan;
  const ExpertSizes sizes = sizes_of(graph, node);
  if (groups_rows(sizes)) take_scratch(plan, sizes, shape_of(graph, node, down)[1]);
  return plan.size_bytes();
}

MoeDownShaderParams params_of(const LaunchContext& context, const ExpertSizes& sizes) {
  return {.down = context.ref(down),
          .shared_down = context.ref(shared_down),
          .d_model = to_uint(context.shape(down)[1]),
          .intermediate = to_uint(context.shape(down)[2]),
          .n_experts = to_uint(sizes.n_experts),
          .top_k = to_uint(sizes.top_k)};
}

Launch vec_launch(const LaunchContext& context, const ExpertSizes& sizes) {
  const std::uint32_t group = group_size(context.caps);
  // A subgroup is at most max_subgroup_size, so the workgroup has at least this many subgroups.
  const std::uint32_t subgroups = group / context.caps.max_subgroup_size;
  Launch launch;
  launch.shader = Shader::moe_down;
  launch.specialization = {{BX_MOE_DOWN_GROUP_SIZE, group},
                           {BX_MOE_DOWN_FORM, context.form(down)},
                           {BX_MOE_DOWN_SHARED_FORM, context.form(shared_down)},
                           {BX_MOE_DOWN_ROWS, kRowsPerSubgroup}};
  launch.set_push(params_of(context, sizes));
  launch.bindings = {context.bind(act, Access::read), context.bind(experts, Access::read),
                     context.bind(gates, Access::read), context.bind(residual, Access::read),
                     context.bind(y, Access::write)};
  launch.grid[0].count = groups_for(context.shape(down)[1], subgroups * kRowsPerSubgroup);
  launch.grid[1].per = RowSpace::rows;
  return launch;
}

Launch tile_launch(const LaunchContext& context, const ExpertSizes& sizes, const Scratch& scratch) {
  Launch launch;
  launch.shader = Shader::moe_down_tile;
  launch.specialization = {{BX_MOE_DOWN_TILE_GROUP_SIZE, group_size(context.caps)},
                           {BX_MOE_DOWN_TILE_FORM, context.form(down)},
                           {BX_MOE_DOWN_TILE_SHARED_FORM, context.form(shared_down)},
                           {BX_MOE_DOWN_TILE_ROWS, rows_of_tile(sizes)}};
  launch.set_push(params_of(context, sizes));
  launch.bindings = {scratch_of(context, scratch.tiles.pairs, Access::read),
                     scratch_of(context, scratch.tiles.tiles, Access::read),
                     context.bind(act, Access::read),
                     scratch_of(context, scratch.products, Access::write)};
  launch.indirect = {scratch_of(context, scratch.tiles.grid, Access::read)};
  return launch;
}

Launch combine_launch(const LaunchContext& context, const ExpertSizes& sizes,
                      const Scratch& scratch) {
  const std::uint32_t group = group_size(context.caps);
  const std::int64_t d_model = context.shape(down)[1];
  Launch launch;
  launch.shader = Shader::moe_combine;
  launch.specialization = {{BX_MOE_COMBINE_GROUP_SIZE, group}};
  launch.set_push(MoeCombineShaderParams{.d_model = to_uint(d_model),
                                         .top_k = to_uint(sizes.top_k),
                                         .n_slots = to_uint(sizes.n_slots)});
  launch.bindings = {scratch_of(context, scratch.products, Access::read),
                     context.bind(gates, Access::read), context.bind(residual, Access::read),
                     context.bind(y, Access::write)};
  launch.grid[0].count = groups_for(d_model, group);
  launch.grid[1].per = RowSpace::rows;
  return launch;
}

std::vector<Launch> launch(const LaunchContext& context) {
  const ExpertSizes sizes = sizes_of(context.graph, context.node);
  if (!groups_rows(sizes)) return {vec_launch(context, sizes)};
  const std::int64_t d_model = context.shape(down)[1];
  ScratchPlan plan;
  const Scratch scratch = take_scratch(plan, sizes, d_model);
  return {group_launch(context, sizes, scratch.tiles, context.bind(experts, Access::read),
                       groups_for(d_model, group_size(context.caps))),
          tile_launch(context, sizes, scratch), combine_launch(context, sizes, scratch)};
}

}  // namespace

const VulkanKernel moe_down_kernel{workspace, launch};

}  // namespace bitaxon::vulkan
