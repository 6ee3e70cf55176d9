//   y[r] = silu(gate @ n(x[r])) * (up @ n(x[r]))
//
// For few rows, one launch multiplies by both weights. For more rows, one product computes
// up @ n(x), and the product with gate applies SiLU and multiplies by that result.
#include "ops/swiglu.h"

#include <array>

#include "vulkan/kernels/product.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

using namespace swiglu_operand;

struct SwigluPlan {
  std::int64_t n_rows, d_model, intermediate;
  bool is_one_launch;
  ScratchPlan scratch;
  ScratchPlan::Block ups;  ///< [R, I]; used only for several launches
  ProductPlan product;

  SwigluPlan(const NodeView& node, const DeviceCaps& caps)
      : n_rows(node.shape(x)[0]),
        d_model(node.shape(x)[1]),
        intermediate(node.shape(y)[1]),
        is_one_launch(choose_product(caps, n_rows, Precision::exact).kernel ==
                      ProductChoice::Kernel::vec) {
    if (!is_one_launch) ups = scratch.take(n_rows * intermediate);
    product = ProductPlan(scratch, n_rows, d_model, node.has(norm));
  }
};

std::vector<Launch> launches(const LaunchContext& context, const SwigluPlan& plan) {
  const WeightUse of_up{context.form(up), context.address(up)};
  ProductArgs gates{.x = context.bind(x, Access::read),
                    .y = context.bind(y, Access::write),
                    .weight = {context.form(gate), context.address(gate)},
                    .norm = {context.form(norm), context.address(norm)},
                    .eps = context.params<SwigluParams>().eps,
                    .n_out = plan.intermediate,
                    .n_cols = plan.d_model,
                    .n_rows = plan.n_rows};
  if (plan.is_one_launch) {
    gates.up = of_up;
    return product_launches(context, gates, plan.product);
  }
  ProductArgs ups = gates;
  ups.weight = of_up;
  ups.y = context.scratch(plan.ups, Access::write);
  gates.gated = context.scratch(plan.ups, Access::read);
  return product_launches(context, std::array{ups, gates}, plan.product);
}

}  // namespace

const VulkanKernel swiglu_kernel = kernel_with_plan<SwigluPlan, launches>();

}  // namespace bitaxon::vulkan
