#include "ops/dropout.h"

#include <fmt/format.h>

#include "ops/checks.h"

namespace bitaxon {

Tensor dropout(const Tensor& x, const DropoutParams& params, const Tensor& masks) {
  const std::int64_t n_rows = check_wide_rows("dropout", "x", x, 1);
  const std::int64_t n_cols = x.shape()[1];
  check_argument(x.row_space() == RowSpace::rows, "dropout", "x", "rows of tokens",
                 "rows of outputs");
  check_argument(params.p >= 0 && params.p < 1, "dropout", "p", "a number in [0, 1)",
                 fmt::format("{}", params.p));
  if (!masks.empty()) {
    const Shape shape = masks.shape();
    check_store("dropout", "masks", masks);
    check_argument(masks.dtype() == DType::f32 && shape.rank() == 2, "dropout", "masks",
                   "a store F32 [capacity, columns]", shape.to_string());
    check_argument(
        params.first_column + n_cols <= shape[1], "dropout", "first_column",
        fmt::format("{} columns from {} on, within {}", n_cols, params.first_column, shape[1]),
        fmt::format("the end {}", params.first_column + n_cols));
  }
  const Graph::Argument arguments[] = {{x}, {masks}};
  const Graph::Output outputs[] = {{DType::f32, {n_rows, n_cols}, RowSpace::rows}};
  return x.graph().record(static_cast<std::uint16_t>(OpId::dropout), params, arguments, outputs)[0];
}

namespace {

Cost cost(const NodeView& node, const StepSizes& sizes) {
  using namespace dropout_operand;
  return {(node.has(masks) ? 3 : 2) * activation_bytes(node, y, sizes),
          valid_elements(node, y, sizes)};
}

void gradient(const NodeGradient& node) {
  using namespace dropout_operand;
  node.add(x, dropout(node.of_output(y), node.params<DropoutParams>(), node.operand(masks)));
}

}  // namespace

const OpInfo dropout_info{"dropout", cost, gradient};

}  // namespace bitaxon
