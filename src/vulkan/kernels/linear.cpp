//   y[r, o] = sum_c w[o, c] * n(x[r, :])[c] + residual[r, o]
#include "ops/linear.h"

#include "vulkan/kernels/product.h"
#include "vulkan/run/kernel.h"

namespace bitaxon::vulkan {
namespace {

using namespace linear_operand;

ProductRows rows_of(const LaunchContext& context) {
  if (context.params<LinearParams>().select == RowSelect::outputs)
    return ProductRows::select_outputs;
  return context.value(y).row_space == RowSpace::outputs ? ProductRows::of_outputs
                                                         : ProductRows::of_tokens;
}

ScratchPlan::Block take_scratch(ScratchPlan& plan, const Graph& graph, const Node& node,
                                const DeviceCaps& caps) {
  const auto shape = [&](int index) -> const Shape& {
    return graph.value(node.operands[static_cast<std::size_t>(index)].value).shape;
  };
  return plan.take(
      product_scratch_words(caps, shape(y)[0], shape(x)[1], node.operands[norm].value >= 0));
}

std::size_t workspace(const Graph& graph, const Node& node, const DeviceCaps& caps) {
  ScratchPlan plan;
  take_scratch(plan, graph, node, caps);
  return plan.size_bytes();
}

std::vector<Launch> launch(const LaunchContext& context) {
  ScratchPlan plan;
  const auto scratch = take_scratch(plan, context.graph, context.node, context.caps);
  ProductArgs args{.x = context.bind(x, Access::read),
                   .y = context.bind(y, Access::write),
                   .weight = {context.form(weight), context.ref(weight)},
                   .norm = {context.form(norm), context.ref(norm)},
                   .eps = context.params<LinearParams>().eps,
                   .n_out = context.shape(y)[1],
                   .n_cols = context.shape(x)[1],
                   .n_rows = context.shape(y)[0],
                   .rows = rows_of(context)};
  if (context.has(residual)) args.residual = context.bind(residual, Access::read);
  return product_launches(context, args, scratch);
}

}  // namespace

const VulkanKernel linear_kernel{workspace, launch};

}  // namespace bitaxon::vulkan
