//   y = a + b
#include "ops/add.h"

#include "shaders/params/add.h"
#include "vulkan/kernels/elements.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

std::vector<Launch> launch(const LaunchContext& context) {
  using namespace add_operand;
  const std::int64_t n_cols = row_elements(context, y);
  Launch launch;
  launch.shader = Shader::add;
  launch.specialization = {{BX_ADD_GROUP_SIZE, group_size(context.caps)}};
  launch.set_push(AddPush{.n_cols = to_uint(n_cols)});
  launch.bindings = {context.bind(a, Access::read), context.bind(b, Access::read),
                     context.bind(y, Access::write)};
  set_elements(launch, context, y, n_cols);
  return {launch};
}

}  // namespace

const VulkanKernel add_kernel = kernel_without_scratch(launch);

}  // namespace bitaxon::vulkan
