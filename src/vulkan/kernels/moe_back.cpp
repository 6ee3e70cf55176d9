#include "vulkan/kernels/moe_back.h"

#include "shaders/params/moe_back.h"

namespace bitaxon::vulkan {
namespace {

/// A workgroup has as many invocations as a tile has columns.
constexpr std::uint32_t kTileCols = 64;

}  // namespace

Launch moe_back_group(const LaunchContext& context, const MoeBackPlan& plan, int experts,
                      std::int64_t n_cols) {
  return group_launch(context, plan.sizes, plan.tiles, context.bind(experts, Access::read),
                      groups_for(n_cols, group_size(context.caps, kTileCols)));
}

Launch moe_back_launch(const LaunchContext& context, const MoeBackPlan& plan,
                       const MoeBackArgs& args) {
  const Shape& shape = context.shape(args.weight);
  Launch launch;
  launch.shader = Shader::moe_back;
  launch.specialization = {{BX_MOE_BACK_GROUP_SIZE, group_size(context.caps, kTileCols)},
                           {BX_MOE_BACK_FORM, context.form(args.weight)},
                           {BX_MOE_BACK_ADDS, args.adds ? 1U : 0U},
                           {BX_MOE_BACK_ROWS, rows_of_tile(plan.sizes)}};
  launch.set_push(MoeBackPush{.weight = context.address(args.weight),
                              .n_out = to_uint(shape[1]),
                              .n_cols = to_uint(shape[2]),
                              .pairs_per_g = args.shares_g ? to_uint(plan.sizes.top_k) : 1});
  launch.bindings = {context.scratch(plan.tiles.pairs, Access::read),
                     context.scratch(plan.tiles.tiles, Access::read), args.g, args.y};
  launch.indirect = {context.scratch(plan.tiles.grid, Access::read)};
  return launch;
}

}  // namespace bitaxon::vulkan
