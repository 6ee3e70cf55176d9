//   g_x = rho * norm * g_y - x * rho^3 * mean(norm * g_y * x),  rho = 1 / sqrt(mean(x^2) + eps)
#include "ops/rms_norm_backward.h"

#include "shaders/params/rms_norm_backward.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

std::vector<Launch> launch(const LaunchContext& context) {
  using namespace rms_norm_backward_operand;
  Launch launch;
  launch.shader = Shader::rms_norm_backward;
  launch.specialization = {{BX_RMS_NORM_BACKWARD_GROUP_SIZE, group_size(context.caps)}};
  launch.set_push(RmsNormBackwardPush{.norm = context.address(norm),
                                      .n_cols = to_uint(context.shape(g_y)[1]),
                                      .x_width = to_uint(context.shape(x)[1]),
                                      .eps = context.params<RmsNormParams>().eps});
  launch.bindings = {context.bind(x, Access::read), context.bind(g_y, Access::read),
                     context.bind(g_x, Access::write)};
  launch.grid[0] = {.per = context.value(x).row_space};
  return {launch};
}

}  // namespace

const VulkanKernel rms_norm_backward_kernel = kernel_without_scratch(launch);

}  // namespace bitaxon::vulkan
