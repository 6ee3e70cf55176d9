//   g_gate = g_y * up * silu'(gate), g_up = g_y * silu(gate)
#include "ops/silu_mul_backward.h"

#include "shaders/params/silu_mul_backward.h"
#include "vulkan/kernels/elements.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

std::vector<Launch> launch(const LaunchContext& context) {
  using namespace silu_mul_backward_operand;
  const std::int64_t n_cols = row_elements(context, g_y);
  Launch launch;
  launch.shader = Shader::silu_mul_backward;
  launch.specialization = {{BX_SILU_MUL_BACKWARD_GROUP_SIZE, group_size(context.caps)}};
  launch.set_push(SiluMulBackwardPush{.n_cols = to_uint(n_cols)});
  launch.bindings = {context.bind(gate, Access::read), context.bind(up, Access::read),
                     context.bind(g_y, Access::read), context.bind(g_gate, Access::write),
                     context.bind(g_up, Access::write)};
  set_elements(launch, context, g_y, n_cols);
  return {launch};
}

}  // namespace

const VulkanKernel silu_mul_backward_kernel = kernel_without_scratch(launch);

}  // namespace bitaxon::vulkan
