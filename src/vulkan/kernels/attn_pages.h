// The launch that appends keys and values to their pages. attn_in and attn_append share it.
#pragma once

#include <cstdint>

#include "shaders/params/attn_append.h"
#include "vulkan/run/launch.h"

namespace bitaxon::vulkan {

struct AppendedRows {
  Binding new_keys, new_values;  ///< [R, width] each, read
  int keys = 0, values = 0;      ///< operands of the node: state in pages
  std::int64_t width = 0;        ///< Hk * d
  bool half = false;             ///< the pages are float16
};

inline Launch append_rows_launch(const LaunchContext& context, const AppendedRows& rows) {
  const std::uint32_t width = to_uint(rows.width);
  const std::uint32_t group = group_size(context.caps);
  // In float16 pages, a row may begin in the middle of a word and end in the middle of another
  // word.
  const std::uint32_t words = rows.half ? width / 2 + 1 : width;
  Launch launch;
  launch.shader = Shader::attn_append;
  launch.specialization = {{BX_ATTN_APPEND_GROUP_SIZE, group},
                           {BX_ATTN_APPEND_HALF, rows.half ? 1U : 0U}};
  launch.set_push(AttnAppendPush{.width = width, .page_group = context.page_group(rows.keys)});
  // If two rows share a word, the launch also reads the word, in order to keep the half of the
  // other row.
  const Access access = rows.half && width % 2 != 0 ? Access::read_write : Access::write;
  launch.bindings = {context.step(), rows.new_keys, rows.new_values,
                     context.bind(rows.keys, access), context.bind(rows.values, access)};
  launch.grid[0].count = groups_for(words, group);
  launch.grid[1] = {.per = RowSpace::rows};
  return launch;
}

}  // namespace bitaxon::vulkan
