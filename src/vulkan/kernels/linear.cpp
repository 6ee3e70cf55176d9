//   y[r, o] = sum_c w[o, c] * n(x[r, :])[c] + residual[r, o]
#include "ops/linear.h"

#include "core/align.h"
#include "shaders/params/product_vec.h"
#include "vulkan/kernel.h"

namespace bitaxon::vulkan {
namespace {

constexpr std::uint32_t kRowsPerSubgroup = 4;

std::vector<Launch> launch(const LaunchContext& context) {
  using namespace linear_operand;
  const auto params = context.params<LinearParams>();
  const std::int64_t n_out = context.shape(y)[1];
  const std::uint32_t group = group_size(context.caps);
  // A subgroup is at least as large as the device says it may be at the smallest.
  const std::uint32_t subgroups = group / context.caps.max_subgroup_size;
  Launch launch;
  launch.shader = Shader::product_vec;
  launch.specialization = {
      {BX_PRODUCT_VEC_GROUP_SIZE, group},
      {BX_PRODUCT_VEC_FORM, context.form(weight)},
      {BX_PRODUCT_VEC_NORM_FORM, context.form(norm)},
      {BX_PRODUCT_VEC_HAS_RESIDUAL, context.has(residual) ? 1U : 0U},
      {BX_PRODUCT_VEC_LAST_OF_SEGMENT, params.select == RowSelect::last_of_segment ? 1U : 0U},
      {BX_PRODUCT_VEC_ROWS, kRowsPerSubgroup},
      {BX_PRODUCT_VEC_COLS, 1}};
  launch.set_push(ProductVecParams{.weight = context.ref(weight),
                                   .norm = context.ref(norm),
                                   .n_out = to_uint(n_out),
                                   .n_cols = to_uint(context.shape(x)[1]),
                                   .first_row = 0,
                                   .eps = params.eps});
  launch.bindings = {context.step(), context.bind(x, Access::read),
                     context.bind(context.has(residual) ? residual : x, Access::read),
                     context.bind(y, Access::write)};
  launch.grid[0].count =
      to_uint((n_out + subgroups * kRowsPerSubgroup - 1) / (subgroups * kRowsPerSubgroup));
  launch.grid[1] = {.per = context.value(y).row_space, .rows_per_group = 1};
  return {launch};
}

}  // namespace

const VulkanKernel linear_kernel{
    [](const Graph&, const Node&, const DeviceCaps&) { return std::size_t{0}; }, launch};

}  // namespace bitaxon::vulkan
