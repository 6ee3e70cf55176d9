#include "ops/linear.h"

#include "bitaxon/error.h"
#include "bitaxon/training_ops.h"
#include "core/step.h"
#include "ops/checks.h"

namespace bitaxon {

Tensor linear(const Tensor& x, const Tensor& weight, const LinearOptions& options) {
  const Shape shape = weight_shape("linear", "weight", weight);
  check_argument(shape[0] == 1, "linear", "weight", "a weight [1, rows, cols]", shape.to_string());
  const std::int64_t n_rows = check_wide_rows("linear", "x", x, shape[2]);
  if (!options.norm.empty()) {
    check_weight("linear", "norm", options.norm, {1, 1, shape[2]});
    check_eps("linear", options.eps);
  }
  if (!options.bias.empty()) check_weight("linear", "bias", options.bias, {1, 1, shape[1]});
  Graph::Output output{DType::f32, {n_rows, shape[1]}, x.row_space()};
  if (options.select == RowSelect::outputs) {
    check_argument(options.n_outputs >= 1 && options.n_outputs <= kMaxRows, "linear", "n_outputs",
                   "1.." + std::to_string(kMaxRows), std::to_string(options.n_outputs));
    check_argument(x.row_space() == RowSpace::rows, "linear", "x", "rows of tokens",
                   "rows of outputs");
    check_argument(options.residual.empty(), "linear", "residual", "none for RowSelect::outputs",
                   "a tensor");
    output = {DType::f32, {options.n_outputs, shape[1]}, RowSpace::outputs};
  }
  if (!options.residual.empty()) {
    check_activation("linear", "residual", options.residual, DType::f32, output.shape);
    check_argument(options.residual.row_space() == output.row_space, "linear", "residual",
                   "the same kind of rows as x (tokens or outputs)", "the other kind");
  }
  const Graph::Argument arguments[] = {
      {x}, {weight}, {options.norm}, {options.bias}, {options.residual}};
  return x.graph().record(static_cast<std::uint16_t>(OpId::linear),
                          LinearParams{options.norm.empty() ? 0.0F : options.eps, options.select},
                          arguments, {&output, 1})[0];
}

namespace {

Cost cost(const NodeView& node, const StepSizes& sizes) {
  using namespace linear_operand;
  const std::int64_t n_rows = valid_rows(node.value(y), sizes);
  const std::int64_t cols = node.shape(weight)[2];
  const std::int64_t weights =
      weight_bytes(node, weight) + weight_bytes(node, norm) + weight_bytes(node, bias);
  return {weights + n_rows * cols * 4 + activation_bytes(node, residual, sizes) +
              activation_bytes(node, y, sizes),
          product_flops(node, weight, n_rows) + (node.has(norm) ? 4 * n_rows * cols : 0), weights};
}

void gradient(const NodeGradient& node) {
  using namespace linear_operand;
  if (!node.operand(norm).empty() || node.params<LinearParams>().select != RowSelect::all)
    throw Error(ErrorKind::invalid_argument,
                "[gradient] linear: expected a product of all rows without a norm, got one with a "
                "norm or of the outputs");
  const Tensor g_y = node.of_output(y);
  node.add(x, linear_backward(g_y, node.operand(weight), node.operand(x).shape()[1]));
  node.add(residual, g_y);
}

}  // namespace

const OpInfo linear_info{"linear", cost, gradient};

}  // namespace bitaxon
