//   g_b[r] = gates[r, column] * g_y[r]
//   g_gates[r, column] = dot(g_y[r], b[r]), 0 in other columns
#include "ops/add_gated_backward.h"

#include "shaders/params/add_gated_backward.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

std::vector<Launch> launch(const LaunchContext& context) {
  using namespace add_gated_backward_operand;
  Launch launch;
  launch.shader = Shader::add_gated_backward;
  launch.specialization = {{BX_ADD_GATED_BACKWARD_GROUP_SIZE, group_size(context.caps)}};
  launch.set_push(AddGatedBackwardPush{.n_cols = to_uint(context.shape(b)[1]),
                                       .n_gates = to_uint(context.shape(gates)[1]),
                                       .column = to_uint(context.params<AddGatedParams>().column)});
  launch.bindings = {context.bind(b, Access::read), context.bind(gates, Access::read),
                     context.bind(g_y, Access::read), context.bind(g_b, Access::write),
                     context.bind(g_gates, Access::write)};
  launch.grid[0] = {.per = context.value(b).row_space};
  return {launch};
}

}  // namespace

const VulkanKernel add_gated_backward_kernel = kernel_without_scratch(launch);

}  // namespace bitaxon::vulkan
