// Groups the rows of a step by expert, on the device. The ops moe_swiglu and moe_down use this for
// steps of many rows.
#pragma once

#include <cstdint>

#include "vulkan/run/launch.h"

namespace bitaxon::vulkan {

struct ExpertSizes {
  std::int64_t n_rows = 0;  ///< the number of rows of the bucket
  std::int64_t n_experts = 0;
  std::int64_t top_k = 0;
  std::int64_t n_slots = 0;  ///< top_k, plus one with a shared expert
};

/// Whether to group rows by expert. With enough rows, it is faster to read the weights of an expert
/// once for all its rows than once per row.
inline bool groups_rows(const ExpertSizes& sizes) { return sizes.n_rows > 16; }

/// The largest number of (row, slot) pairs in one tile.
std::uint32_t rows_of_tile(const ExpertSizes& sizes);

/// The scratch of the grouping: the (row, slot) pairs sorted by expert, the tiles of these pairs,
/// and the grid with the workgroups of all tiles.
struct ExpertTiles {
  ScratchPlan::Block pairs, tiles, grid;
};
ExpertTiles take_expert_tiles(ScratchPlan& scratch, const ExpertSizes& sizes);

/// The launch that writes the pairs, the tiles and the grid. `n_across` is the number of workgroups
/// per tile.
Launch group_launch(const LaunchContext& context, const ExpertSizes& sizes,
                    const ExpertTiles& tiles, const Binding& experts, std::uint32_t n_across);

}  // namespace bitaxon::vulkan
