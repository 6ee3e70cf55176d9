// Groups the rows of a step by expert, on the device. Both halves of the experts (moe_swiglu and
// moe_down) use this when a step has many rows.
#pragma once

#include <cstdint>

#include "vulkan/run/launch.h"

namespace bitaxon::vulkan {

struct ExpertSizes {
  std::int64_t n_rows = 0;  ///< the rows of the bucket
  std::int64_t n_experts = 0;
  std::int64_t top_k = 0;
  std::int64_t n_slots = 0;  ///< top_k, plus one with a shared expert
};

/// Whether there are enough rows to read each expert once for all its rows, instead of once per
/// row.
inline bool groups_rows(const ExpertSizes& sizes) { return sizes.n_rows > 16; }

/// The largest number of pairs of a row and a slot in one tile.
std::uint32_t rows_of_tile(const ExpertSizes& sizes);

/// The pairs of rows and slots sorted by expert, the tiles of these pairs, and the grid of all
/// tiles.
struct ExpertTiles {
  ScratchPlan::Block pairs, tiles, grid;
};
ExpertTiles take_expert_tiles(ScratchPlan& scratch, const ExpertSizes& sizes);

/// Writes pairs, tiles and grid. `n_across` is the number of workgroups per tile.
Launch group_launch(const LaunchContext& context, const ExpertSizes& sizes,
                    const ExpertTiles& tiles, const Binding& experts, std::uint32_t n_across);

}  // namespace bitaxon::vulkan
