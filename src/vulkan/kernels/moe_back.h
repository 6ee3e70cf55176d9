// The transposed product of the rows of a step with the matrices of their experts.
#pragma once

#include <vector>

#include "vulkan/kernels/moe_group.h"
#include "vulkan/run/launch.h"

namespace bitaxon::vulkan {

/// The scratch of the products of a node: its rows, grouped by expert.
struct MoeBackPlan {
  ExpertSizes sizes;
  ExpertTiles tiles;

  MoeBackPlan(ScratchPlan& scratch, const ExpertSizes& of)
      : sizes(of), tiles(take_expert_tiles(scratch, of)) {}
};

/// The launch that groups the rows for products with weights of n_cols columns.
Launch moe_back_group(const LaunchContext& context, const MoeBackPlan& plan, int experts,
                      std::int64_t n_cols);

struct MoeBackArgs {
  Binding g;  ///< [R, top_k, n_out], or [R, n_out] if `shares_g`
  bool shares_g = false;
  int weight = 0;     ///< the operand with the matrices [X, n_out, n_cols]
  Binding y;          ///< [R, top_k, n_cols], read and write
  bool adds = false;  ///< whether the sums are added to y
};
/// y[r, s] = sum_o g[r, s, o] * weight[experts[r, s], o]. Runs after moe_back_group().
Launch moe_back_launch(const LaunchContext& context, const MoeBackPlan& plan,
                       const MoeBackArgs& args);

}  // namespace bitaxon::vulkan
