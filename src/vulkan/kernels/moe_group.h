// Rows of a step grouped by the expert they go to, on the device: what both halves of the experts
// do when a step has many rows.
#pragma once

#include <cstdint>

#include "vulkan/launch.h"

namespace bitaxon::vulkan {

struct ExpertSizes {
  std::int64_t n_rows = 0;  ///< the bucket
  std::int64_t n_experts = 0;
  std::int64_t top_k = 0;
  std::int64_t n_slots = 0;  ///< top_k, and one more with a shared expert
};

/// From how many rows on it pays to read each expert once for all its rows, instead of once for
/// each of them.
inline bool groups_rows(const ExpertSizes& sizes) { return sizes.n_rows > 16; }

/// Pairs of a row and a slot in one tile, at most.
std::uint32_t rows_of_tile(const ExpertSizes& sizes);

/// The pairs of rows and slots by expert, the tiles made of them, and the grid over all tiles.
struct ExpertTiles {
  ScratchPlan::Block pairs, tiles, grid;
};
ExpertTiles take_expert_tiles(ScratchPlan& plan, const ExpertSizes& sizes);

/// Writes all three. `n_across`: work groups that each tile takes.
Launch group_launch(const LaunchContext& context, const ExpertSizes& sizes,
                    const ExpertTiles& tiles, const Binding& experts, std::uint32_t n_across);

/// Work groups of `size` for n elements.
inline std::uint32_t groups_for(std::int64_t n, std::int64_t size) {
  return to_uint((n + size - 1) / size);
}

inline Binding scratch_of(const LaunchContext& context, const ScratchPlan::Block& block,
                          Access access) {
  return context.scratch(block.offset_bytes, block.size_bytes, access);
}

}  // namespace bitaxon::vulkan
