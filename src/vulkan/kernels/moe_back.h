// The transposed product of the rows of a step with the matrices of their experts.
#pragma once

#include "shaders/params/moe_back.h"
#include "vulkan/run/launch.h"

namespace bitaxon::vulkan {

/// y[r, s] = sum_o g[r, s, o] * weight[experts[r, s], o]
/// g     [R, top_k, n_out], or [R, n_out] if `shares_g`
/// y     [R, top_k, n_cols]; with `adds`, the sums are added to it
Launch moe_back_launch(const LaunchContext& context, const Binding& g, bool shares_g, int experts,
                       int weight, const Binding& y, bool adds);

}  // namespace bitaxon::vulkan
