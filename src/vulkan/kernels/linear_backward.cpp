//   g_x[r, c] = sum_o g_y[r, o] * w[o, c] for c < cols, 0 for cols <= c < width
#include "ops/linear_backward.h"

#include "shaders/params/linear_backward.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

/// One launch for each part of the rows that a binding can hold.
std::vector<Launch> launch(const LaunchContext& context) {
  using namespace linear_backward_operand;
  constexpr std::uint32_t kTileCols = 64;
  const std::uint32_t group = group_size(context.caps, kTileCols);
  const std::int64_t n_rows = context.shape(g_y)[0];
  const std::int64_t n_out = context.shape(g_y)[1];
  const std::int64_t width = context.shape(g_x)[1];
  const RowSpace space = context.value(g_y).row_space;
  const std::uint32_t tile_rows = n_rows <= 32 ? 32 : 64;
  const std::int64_t most = rows_per_binding(context.caps, n_rows, n_out * 4, width * 4);
  std::vector<Launch> launches;
  for (const Range rows : pieces_of(n_rows, most)) {
    Launch launch;
    launch.shader = Shader::linear_backward;
    launch.specialization = {{BX_LINEAR_BACKWARD_GROUP_SIZE, group},
                             {BX_LINEAR_BACKWARD_FORM, context.form(weight)},
                             {BX_LINEAR_BACKWARD_OF_OUTPUTS, space == RowSpace::outputs ? 1U : 0U},
                             {BX_LINEAR_BACKWARD_ROWS, tile_rows}};
    launch.set_push(LinearBackwardPush{.weight = context.address(weight),
                                       .n_out = to_uint(n_out),
                                       .n_cols = to_uint(context.shape(weight)[2]),
                                       .width = to_uint(width),
                                       .first_row = to_uint(rows.first),
                                       .end_row = to_uint(rows.end)});
    launch.bindings = {context.step(), rows_of(context.bind(g_y, Access::read), rows, n_out * 4),
                       rows_of(context.bind(g_x, Access::write), rows, width * 4)};
    launch.grid[0].count = groups_for(width, group);
    launch.grid[1] = {.per = space, .rows_per_group = tile_rows};
    launches.push_back(launch);
  }
  return launches;
}

}  // namespace

const VulkanKernel linear_backward_kernel = kernel_without_scratch(launch);

}  // namespace bitaxon::vulkan
