//   y[r] = x[r] + gates[r, column] * b[r]
#include "ops/add_gated.h"

#include "shaders/params/add_gated.h"
#include "vulkan/kernels/elements.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

std::vector<Launch> launch(const LaunchContext& context) {
  using namespace add_gated_operand;
  const std::int64_t n_cols = row_elements(context, y);
  Launch launch;
  launch.shader = Shader::add_gated;
  launch.specialization = {{BX_ADD_GATED_GROUP_SIZE, group_size(context.caps)}};
  launch.set_push(AddGatedPush{.n_cols = to_uint(n_cols),
                               .n_gates = to_uint(context.shape(gates)[1]),
                               .column = to_uint(context.params<AddGatedParams>().column)});
  launch.bindings = {context.bind(x, Access::read), context.bind(b, Access::read),
                     context.bind(gates, Access::read), context.bind(y, Access::write)};
  set_elements(launch, context, y, n_cols);
  return {launch};
}

}  // namespace

const VulkanKernel add_gated_kernel = kernel_without_scratch(launch);

}  // namespace bitaxon::vulkan
