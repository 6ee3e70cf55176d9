//   y[r, c] = norm[c] * x[r, c] / sqrt(mean(x[r, :D]^2) + eps),  c < D
#include "ops/rms_norm.h"

#include "shaders/params/product_rows.h"
#include "shaders/params/rms_norm.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

std::vector<Launch> launch(const LaunchContext& context) {
  using namespace rms_norm_operand;
  const RowSpace space = context.value(x).row_space;
  Launch launch;
  launch.shader = Shader::rms_norm;
  launch.specialization = {
      {BX_RMS_NORM_GROUP_SIZE, group_size(context.caps)},
      {BX_RMS_NORM_SOURCE, space == RowSpace::outputs ? BX_ROWS_OF_OUTPUTS : BX_ROWS_OF_TOKENS}};
  launch.set_push(RmsNormPush{.norm = context.address(norm),
                              .n_cols = to_uint(context.shape(y)[1]),
                              .x_width = to_uint(context.shape(x)[1]),
                              .eps = context.params<RmsNormParams>().eps});
  launch.bindings = {context.step(), context.bind(x, Access::read), context.bind(y, Access::write)};
  launch.grid[0] = {.per = space};
  return {launch};
}

}  // namespace

const VulkanKernel rms_norm_kernel = kernel_without_scratch(launch);

}  // namespace bitaxon::vulkan
