//   y[r, s, :] = silu(gate[e] @ x[r]) * (up[e] @ x[r]),  e = experts[r, s]
#include "ops/moe_swiglu.h"

#include <algorithm>
#include <array>

#include "shaders/params/moe_swiglu_matrix.h"
#include "shaders/params/moe_swiglu_tile.h"
#include "vulkan/kernels/mat_vec.h"
#include "vulkan/kernels/matrix_tile.h"
#include "vulkan/kernels/moe_group.h"
#include "vulkan/kernels/tile.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

using namespace moe_swiglu_operand;

constexpr std::uint32_t kOutsPerSubgroup = 4;
/// Rows of both weights together, in a tile with matrix units.
constexpr std::uint32_t kMatrixOuts = 128;

struct MoeSwigluPlan {
  ExpertSizes sizes;
  std::int64_t intermediate;
  bool in_tiles;
  ScratchPlan scratch;
  ExpertTiles tiles;  ///< used only if in_tiles

  MoeSwigluPlan(const NodeView& node, const DeviceCaps&)
      : sizes{node.shape(x)[0], node.shape(gate)[0], node.shape(experts)[1], node.shape(y)[1]},
        intermediate(node.shape(gate)[1]),
        in_tiles(groups_rows(sizes)) {
    if (in_tiles) tiles = take_expert_tiles(scratch, sizes);
  }
};

MoeSwigluPush push_of(const LaunchContext& context, const MoeSwigluPlan& plan) {
  return {.gate = context.address(gate),
          .up = context.address(up),
          .shared_gate = context.address(shared_gate),
          .shared_up = context.address(shared_up),
          .d_model = to_uint(context.shape(gate)[2]),
          .intermediate = to_uint(plan.intermediate),
          .n_experts = to_uint(plan.sizes.n_experts),
          .top_k = to_uint(plan.sizes.top_k)};
}

Launch vec_launch(const LaunchContext& context, const MoeSwigluPlan& plan) {
  const CodesChoice codes = codes_of_launch(
      context.caps, context.precision,
      {context.form(gate), context.form(up), context.form(shared_gate), context.form(shared_up)});
  const std::uint32_t group = codes.group;
  Launch launch;
  launch.shader = codes.dots ? Shader::moe_swiglu_dots : Shader::moe_swiglu;
  launch.specialization = {{BX_MOE_SWIGLU_GROUP_SIZE, group},
                           {BX_MOE_SWIGLU_GATE_FORM, context.form(gate)},
                           {BX_MOE_SWIGLU_UP_FORM, context.form(up)},
                           {BX_MOE_SWIGLU_SHARED_GATE_FORM, context.form(shared_gate)},
                           {BX_MOE_SWIGLU_SHARED_UP_FORM, context.form(shared_up)},
                           {BX_MOE_SWIGLU_OUTS, kOutsPerSubgroup},
                           {BX_MOE_SWIGLU_CODES, codes.codes}};
  launch.set_push(push_of(context, plan));
  launch.bindings = {context.bind(x, Access::read), context.bind(experts, Access::read),
                     context.bind(y, Access::write)};
  launch.grid[0].count =
      groups_for(plan.intermediate, subgroups_per_group(context.caps, group) * kOutsPerSubgroup);
  launch.grid[1].count = to_uint(plan.sizes.n_slots);
  launch.grid[2].per = RowSpace::rows;
  return launch;
}

Launch matrix_launch(const LaunchContext& context, const MatrixTile& tile) {
  Launch launch;
  launch.shader = Shader::moe_swiglu_matrix;
  launch.specialization = {{BX_MOE_SWIGLU_MATRIX_GATE_FORM, context.form(gate)},
                           {BX_MOE_SWIGLU_MATRIX_UP_FORM, context.form(up)},
                           {BX_MOE_SWIGLU_MATRIX_SHARED_GATE_FORM, context.form(shared_gate)},
                           {BX_MOE_SWIGLU_MATRIX_SHARED_UP_FORM, context.form(shared_up)}};
  const std::int64_t d_model = context.shape(gate)[2];
  set_matrix_tile(launch, tile, d_model, d_model);
  return launch;
}

Launch float_launch(const LaunchContext& context, const MoeSwigluPlan& plan) {
  const std::int64_t d_model = context.shape(gate)[2];
  Launch launch;
  const bool in_halves =
      has_half_tiles(context.caps, context.precision) &&
      std::ranges::none_of(std::array{gate, up, shared_gate, shared_up}, [&](int weight) {
        return spills_half_tile(context.caps, context.form(weight));
      });
  launch.shader = in_halves ? Shader::moe_swiglu_tile_float16 : Shader::moe_swiglu_tile;
  launch.specialization = {{BX_MOE_SWIGLU_TILE_GROUP_SIZE, group_size(context.caps)},
                           {BX_MOE_SWIGLU_TILE_GATE_FORM, context.form(gate)},
                           {BX_MOE_SWIGLU_TILE_UP_FORM, context.form(up)},
                           {BX_MOE_SWIGLU_TILE_SHARED_GATE_FORM, context.form(shared_gate)},
                           {BX_MOE_SWIGLU_TILE_SHARED_UP_FORM, context.form(shared_up)},
                           {BX_MOE_SWIGLU_TILE_ROWS, rows_of_tile(plan.sizes)},
                           {BX_MOE_SWIGLU_TILE_COLUMNS, columns_of(d_model, d_model)}};
  return launch;
}

std::vector<Launch> tile_launches(const LaunchContext& context, const MoeSwigluPlan& plan) {
  const ExpertTiles& tiles = plan.tiles;
  const auto tile = matrix_tile(context, rows_of_tile(plan.sizes), kMatrixOuts);
  Launch launch = tile ? matrix_launch(context, *tile) : float_launch(context, plan);
  launch.set_push(push_of(context, plan));
  launch.bindings = {context.scratch(tiles.pairs, Access::read),
                     context.scratch(tiles.tiles, Access::read), context.bind(x, Access::read),
                     context.bind(y, Access::write)};
  launch.indirect = {context.scratch(tiles.grid, Access::read)};
  const std::uint32_t n_across =
      groups_for(plan.intermediate, (tile ? tile->outs : group_size(context.caps)) / 2);
  return {group_launch(context, plan.sizes, tiles, context.bind(experts, Access::read), n_across),
          launch};
}

std::vector<Launch> launches(const LaunchContext& context, const MoeSwigluPlan& plan) {
  if (plan.in_tiles) return tile_launches(context, plan);
  return {vec_launch(context, plan)};
}

}  // namespace

const VulkanKernel moe_swiglu_kernel = kernel_with_plan<MoeSwigluPlan, launches>();

}  // namespace bitaxon::vulkan
