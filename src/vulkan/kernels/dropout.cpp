//   y[r, c] = x[r, c] / (1 - p) if the element is kept, else 0
#include "ops/dropout.h"

#include "shaders/params/dropout.h"
#include "vulkan/kernels/elements.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

using namespace dropout_operand;

/// Computes the rows whose masks are rows of `part`, or all rows if masks are drawn.
Launch launch_with(const LaunchContext& context, const Binding& part, Range rows) {
  const auto params = context.params<DropoutParams>();
  const std::int64_t n_cols = context.shape(y)[1];
  Launch launch;
  launch.shader = Shader::dropout;
  launch.specialization = {{BX_DROPOUT_GROUP_SIZE, group_size(context.caps)},
                           {BX_DROPOUT_HAS_MASKS, context.has(masks) ? 1U : 0U}};
  launch.set_push(
      DropoutPush{.p = params.p,
                  .index = params.index,
                  .seed_low = params.seed_low,
                  .seed_high = params.seed_high,
                  .n_cols = to_uint(n_cols),
                  .first_row = to_uint(rows.first),
                  .end_row = to_uint(rows.end),
                  .first_column = params.first_column,
                  .mask_cols = context.has(masks) ? to_uint(context.shape(masks)[1]) : 0U});
  launch.bindings = {context.step(), context.bind(x, Access::read), part,
                     context.bind(y, Access::write)};
  set_elements(launch, context, y, n_cols);
  return launch;
}

/// With masks, one launch for each part of the masks that a binding can hold.
std::vector<Launch> launches(const LaunchContext& context) {
  if (!context.has(masks)) return {launch_with(context, context.bind(x, Access::read), {})};
  const std::int64_t n_rows = context.shape(masks)[0];
  const std::int64_t row_bytes = context.shape(masks)[1] * 4;
  std::vector<Launch> all;
  for (const Range rows : pieces_of(n_rows, rows_per_binding(context.caps, n_rows, row_bytes)))
    all.push_back(
        launch_with(context, rows_of(context.bind(masks, Access::read), rows, row_bytes), rows));
  return all;
}

}  // namespace

const VulkanKernel dropout_kernel = kernel_without_scratch(launches);

}  // namespace bitaxon::vulkan
