//   y = silu(gate) * up
#include "ops/silu_mul.h"

#include "shaders/params/silu_mul.h"
#include "vulkan/kernels/elements.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

std::vector<Launch> launch(const LaunchContext& context) {
  using namespace silu_mul_operand;
  const std::int64_t n_cols = row_elements(context, y);
  Launch launch;
  launch.shader = Shader::silu_mul;
  launch.specialization = {{BX_SILU_MUL_GROUP_SIZE, group_size(context.caps)}};
  launch.set_push(SiluMulPush{.n_cols = to_uint(n_cols)});
  launch.bindings = {context.bind(gate, Access::read), context.bind(up, Access::read),
                     context.bind(y, Access::write)};
  set_elements(launch, context, y, n_cols);
  return {launch};
}

}  // namespace

const VulkanKernel silu_mul_kernel = kernel_without_scratch(launch);

}  // namespace bitaxon::vulkan
