// Launches of shaders that compute one element per invocation.
#pragma once

#include <cstdint>

#include "vulkan/run/launch.h"

namespace bitaxon::vulkan {

/// The number of elements of one row of an activation.
inline std::int64_t row_elements(const LaunchContext& context, int index) {
  const Shape& shape = context.shape(index);
  return shape.elements() / shape[0];
}

/// Sets the grid: x over the n_cols columns, y over the valid rows of an activation.
inline void set_elements(Launch& launch, const LaunchContext& context, int index,
                         std::int64_t n_cols) {
  launch.grid[0].count = groups_for(n_cols, group_size(context.caps));
  launch.grid[1] = {.per = context.value(index).row_space};
}

}  // namespace bitaxon::vulkan
