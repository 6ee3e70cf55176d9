//   y[r] = residual[r] + sum_s gates[r, s] * (down[experts[r, s]] @ act[r, s]) + shared slot
#include "ops/moe_down.h"

#include "shaders/params/moe_combine.h"
#include "shaders/params/moe_down_matrix.h"
#include "shaders/params/moe_down_tile.h"
#include "vulkan/kernels/mat_vec.h"
#include "vulkan/kernels/matrix_tile.h"
#include "vulkan/kernels/moe_group.h"
#include "vulkan/kernels/tile.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

using namespace moe_down_operand;

constexpr std::uint32_t kOutsPerSubgroup = 2;
constexpr std::uint32_t kMatrixOuts = 64;

struct MoeDownPlan {
  ExpertSizes sizes;
  std::int64_t d_model;
  bool in_tiles;  ///< whether rows are grouped by expert; the members below are used only then
  ScratchPlan scratch;
  ExpertTiles tiles;
  ScratchPlan::Block products;  ///< [R, slots, D]

  MoeDownPlan(const NodeView& node, const DeviceCaps&)
      : sizes{node.shape(act)[0], node.shape(down)[0], node.shape(experts)[1], node.shape(act)[1]},
        d_model(node.shape(down)[1]),
        in_tiles(groups_rows(sizes)) {
    if (!in_tiles) return;
    tiles = take_expert_tiles(scratch, sizes);
    products = scratch.take(sizes.n_rows * sizes.n_slots * d_model);
  }
};

MoeDownPush push_of(const LaunchContext& context, const MoeDownPlan& plan) {
  return {.down = context.address(down),
          .shared_down = context.address(shared_down),
          .d_model = to_uint(plan.d_model),
          .intermediate = to_uint(context.shape(down)[2]),
          .n_experts = to_uint(plan.sizes.n_experts),
          .top_k = to_uint(plan.sizes.top_k),
          .pairs_per_x = 1};
}

Launch vec_launch(const LaunchContext& context, const MoeDownPlan& plan) {
  const CodesChoice codes = codes_of_launch(context.caps, context.precision,
                                            {context.form(down), context.form(shared_down)});
  const std::uint32_t group = codes.group;
  Launch launch;
  launch.shader = codes.dots ? Shader::moe_down_dots : Shader::moe_down;
  launch.specialization = {{BX_MOE_DOWN_GROUP_SIZE, group},
                           {BX_MOE_DOWN_FORM, context.form(down)},
                           {BX_MOE_DOWN_SHARED_FORM, context.form(shared_down)},
                           {BX_MOE_DOWN_OUTS, kOutsPerSubgroup},
                           {BX_MOE_DOWN_CODES, codes.codes}};
  launch.set_push(push_of(context, plan));
  launch.bindings = {context.bind(act, Access::read), context.bind(experts, Access::read),
                     context.bind(gates, Access::read), context.bind(residual, Access::read),
                     context.bind(y, Access::write)};
  launch.grid[0].count =
      groups_for(plan.d_model, subgroups_per_group(context.caps, group) * kOutsPerSubgroup);
  launch.grid[1].per = RowSpace::rows;
  return launch;
}

std::optional<MatrixTile> matrix_tile_of(const LaunchContext& context, const MoeDownPlan& plan) {
  return matrix_tile(context, rows_of_tile(plan.sizes), kMatrixOuts);
}

Launch tile_launch(const LaunchContext& context, const MoeDownPlan& plan) {
  const std::int64_t intermediate = context.shape(down)[2];
  Launch launch;
  if (const auto tile = matrix_tile_of(context, plan)) {
    launch.shader = Shader::moe_down_matrix;
    launch.specialization = {{BX_MOE_DOWN_MATRIX_FORM, context.form(down)},
                             {BX_MOE_DOWN_MATRIX_SHARED_FORM, context.form(shared_down)}};
    set_matrix_tile(launch, *tile, intermediate, intermediate);
  } else {
    const bool in_halves = has_half_tiles(context.caps, context.precision) &&
                           !spills_half_tile(context.caps, context.form(down)) &&
                           !spills_half_tile(context.caps, context.form(shared_down));
    launch.shader = in_halves ? Shader::moe_down_tile_float16 : Shader::moe_down_tile;
    launch.specialization = {{BX_MOE_DOWN_TILE_GROUP_SIZE, group_size(context.caps)},
                             {BX_MOE_DOWN_TILE_FORM, context.form(down)},
                             {BX_MOE_DOWN_TILE_SHARED_FORM, context.form(shared_down)},
                             {BX_MOE_DOWN_TILE_ROWS, rows_of_tile(plan.sizes)},
                             {BX_MOE_DOWN_TILE_COLUMNS, columns_of(intermediate, intermediate)}};
  }
  launch.set_push(push_of(context, plan));
  launch.bindings = {context.scratch(plan.tiles.pairs, Access::read),
                     context.scratch(plan.tiles.tiles, Access::read),
                     context.bind(act, Access::read),
                     context.scratch(plan.products, Access::write)};
  launch.indirect = {context.scratch(plan.tiles.grid, Access::read)};
  return launch;
}

Launch combine_launch(const LaunchContext& context, const MoeDownPlan& plan) {
  const std::uint32_t group = group_size(context.caps);
  Launch launch;
  launch.shader = Shader::moe_combine;
  launch.specialization = {{BX_MOE_COMBINE_GROUP_SIZE, group}};
  launch.set_push(MoeCombinePush{.d_model = to_uint(plan.d_model),
                                 .top_k = to_uint(plan.sizes.top_k),
                                 .n_slots = to_uint(plan.sizes.n_slots)});
  launch.bindings = {context.scratch(plan.products, Access::read),
                     context.bind(gates, Access::read), context.bind(residual, Access::read),
                     context.bind(y, Access::write)};
  launch.grid[0].count = groups_for(plan.d_model, group);
  launch.grid[1].per = RowSpace::rows;
  return launch;
}

std::vector<Launch> launches(const LaunchContext& context, const MoeDownPlan& plan) {
  if (!plan.in_tiles) return {vec_launch(context, plan)};
  const auto tile = matrix_tile_of(context, plan);
  const std::uint32_t outs = tile ? tile->outs : group_size(context.caps);
  return {group_launch(context, plan.sizes, plan.tiles, context.bind(experts, Access::read),
                       groups_for(plan.d_model, outs)),
          tile_launch(context, plan), combine_launch(context, plan)};
}

}  // namespace

const VulkanKernel moe_down_kernel = kernel_with_plan<MoeDownPlan, launches>();

}  // namespace bitaxon::vulkan
