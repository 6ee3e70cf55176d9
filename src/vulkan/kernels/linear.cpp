//   y[r, o] = sum_c w[o, c] * n(x[r, :cols])[c] + bias[o] + residual[r, o]
#include "ops/linear.h"

#include "vulkan/kernels/product.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

using namespace linear_operand;

ProductRows rows_of(const NodeView& node) {
  if (node.params<LinearParams>().select == RowSelect::outputs) return ProductRows::select_outputs;
  return node.value(y).row_space == RowSpace::outputs ? ProductRows::of_outputs
                                                      : ProductRows::of_tokens;
}

struct LinearPlan {
  ScratchPlan scratch;
  ProductPlan product;

  LinearPlan(const NodeView& node, const DeviceCaps&)
      : product(scratch, node.shape(y)[0], node.shape(weight)[2], node.has(norm)) {}
};

std::vector<Launch> launches(const LaunchContext& context, const LinearPlan& plan) {
  ProductArgs args{.x = context.bind(x, Access::read),
                   .y = context.bind(y, Access::write),
                   .weight = {context.form(weight), context.address(weight)},
                   .bias = {context.form(bias), context.address(bias)},
                   .norm = {context.form(norm), context.address(norm)},
                   .eps = context.params<LinearParams>().eps,
                   .n_out = context.shape(y)[1],
                   .n_cols = context.shape(weight)[2],
                   .x_width = context.shape(x)[1],
                   .n_rows = context.shape(y)[0],
                   .rows = rows_of(context)};
  if (context.has(residual)) args.residual = context.bind(residual, Access::read);
  return product_launches(context, args, plan.product);
}

}  // namespace

const VulkanKernel linear_kernel = kernel_with_plan<LinearPlan, launches>();

}  // namespace bitaxon::vulkan
