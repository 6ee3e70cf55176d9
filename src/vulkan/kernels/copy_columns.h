// Copies some columns of the rows of a step.
#pragma once

#include <cstdint>

#include "shaders/params/copy_columns.h"
#include "vulkan/run/launch.h"

namespace bitaxon::vulkan {

struct CopiedColumns {
  std::int64_t width = 0;  ///< columns of the source
  std::int64_t first = 0;  ///< the first column that is copied
  std::int64_t count = 0;  ///< columns that are copied; all columns of the target
};

inline Launch copy_columns_launch(const LaunchContext& context, const Binding& from,
                                  const Binding& to, const CopiedColumns& columns) {
  const std::uint32_t group = group_size(context.caps);
  Launch launch;
  launch.shader = Shader::copy_columns;
  launch.specialization = {{BX_COPY_COLUMNS_GROUP_SIZE, group}};
  launch.set_push(CopyColumnsPush{.n_cols = to_uint(columns.count),
                                  .x_width = to_uint(columns.width),
                                  .x_first = to_uint(columns.first)});
  launch.bindings = {from, to};
  launch.grid[0].count = groups_for(columns.count, group);
  launch.grid[1] = {.per = RowSpace::rows};
  return launch;
}

}  // namespace bitaxon::vulkan
