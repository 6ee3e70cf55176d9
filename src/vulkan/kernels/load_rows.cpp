//   y[r] = store[store_row + r], or y[o] = store[output_rows[o]]
#include "ops/load_rows.h"

#include "shaders/params/load_rows.h"
#include "vulkan/kernels/elements.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

/// One launch for each part of the store that a binding can hold. It copies the rows in this part.
std::vector<Launch> launch(const LaunchContext& context) {
  using namespace load_rows_operand;
  const std::int64_t n_rows = context.shape(store)[0];
  const std::int64_t n_cols = row_elements(context, y);
  const bool of_outputs = context.value(y).row_space == RowSpace::outputs;
  std::vector<Launch> launches;
  for (const Range rows : pieces_of(n_rows, rows_per_binding(context.caps, n_rows, n_cols * 4))) {
    const Binding part = rows_of(context.bind(store, Access::read), rows, n_cols * 4);
    Launch launch;
    launch.shader = Shader::load_rows;
    launch.specialization = {{BX_LOAD_ROWS_GROUP_SIZE, group_size(context.caps)},
                             {BX_LOAD_ROWS_OF_OUTPUTS, of_outputs ? 1U : 0U}};
    launch.set_push(LoadRowsPush{
        .n_cols = to_uint(n_cols), .first_row = to_uint(rows.first), .end_row = to_uint(rows.end)});
    launch.bindings = {context.step(), part, context.bind(y, Access::write)};
    set_elements(launch, context, y, n_cols);
    launches.push_back(launch);
  }
  return launches;
}

}  // namespace

const VulkanKernel load_rows_kernel = kernel_without_scratch(launch);

}  // namespace bitaxon::vulkan
