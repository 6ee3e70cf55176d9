#include "vulkan/kernels/moe_group.h"

#include <fmt/format.h>

#include "bitaxon/error.h"
#include "shaders/params/moe_group.h"

namespace bitaxon::vulkan {
namespace {

/// The largest number of tiles that a step can have. There may be one partly filled tile for each
/// expert, including the shared expert.
std::int64_t most_tiles(const ExpertSizes& sizes) {
  return sizes.n_rows * sizes.n_slots / rows_of_tile(sizes) + sizes.n_experts + 1;
}

void check_grid(std::int64_t count, std::uint32_t limit) {
  if (count > limit)
    throw Error(ErrorKind::unsupported,
                fmt::format("vulkan: {} work groups of experts: expected at most {} "
                            "(maxComputeWorkGroupCount)",
                            count, limit));
}

}  // namespace

std::uint32_t rows_of_tile(const ExpertSizes& sizes) {
  // In a step of few rows, most experts get only a few rows, so a large tile would be mostly empty.
  return sizes.n_rows <= 64 ? 16 : 64;
}

ExpertTiles take_expert_tiles(ScratchPlan& scratch, const ExpertSizes& sizes) {
  ExpertTiles tiles;
  tiles.pairs = scratch.take(sizes.n_rows * sizes.n_slots);
  tiles.tiles = scratch.take(3 * most_tiles(sizes));
  tiles.grid = scratch.take(3);
  return tiles;
}

Launch group_launch(const LaunchContext& context, const ExpertSizes& sizes,
                    const ExpertTiles& tiles, const Binding& experts, std::uint32_t n_across) {
  if (sizes.n_experts > BX_MOE_MAX_EXPERTS)
    throw Error(ErrorKind::unsupported, fmt::format("vulkan: {} experts: expected at most {}",
                                                    sizes.n_experts, BX_MOE_MAX_EXPERTS));
  check_grid(n_across, context.caps.max_group_count[0]);
  check_grid(most_tiles(sizes), context.caps.max_group_count[1]);
  Launch launch;
  launch.shader = Shader::moe_group;
  launch.specialization = {{BX_MOE_GROUP_GROUP_SIZE, group_size(context.caps, 256)}};
  launch.set_push(MoeGroupPush{.n_experts = to_uint(sizes.n_experts),
                               .top_k = to_uint(sizes.top_k),
                               .n_slots = to_uint(sizes.n_slots),
                               .tile_rows = rows_of_tile(sizes),
                               .n_across = n_across});
  launch.bindings = {context.step(), experts, context.scratch(tiles.pairs, Access::write),
                     context.scratch(tiles.tiles, Access::write),
                     context.scratch(tiles.grid, Access::write)};
  return launch;
}

}  // namespace bitaxon::vulkan
