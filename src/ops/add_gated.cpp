#include "ops/add_gated.h"

#include "bitaxon/training_ops.h"
#include "ops/checks.h"

namespace bitaxon {

Tensor add_gated(const Tensor& x, const Tensor& b, const Tensor& gates, std::int64_t column) {
  check_wide_rows("add_gated", "x", x, 1);
  check_alike("add_gated", "b", b, x);
  check_wide_rows("add_gated", "gates", gates, 1);
  const std::int64_t n_gates = gates.shape()[1];
  check_activation("add_gated", "gates", gates, DType::f32, {x.shape()[0], n_gates});
  check_argument(column >= 0 && column < n_gates, "add_gated", "column",
                 "0.." + std::to_string(n_gates - 1), std::to_string(column));
  const Graph::Argument arguments[] = {{x}, {b}, {gates}};
  const Graph::Output outputs[] = {{DType::f32, x.shape(), x.row_space()}};
  return x.graph().record(static_cast<std::uint16_t>(OpId::add_gated), AddGatedParams{column},
                          arguments, outputs)[0];
}

namespace {

Cost cost(const NodeView& node, const StepSizes& sizes) {
  using namespace add_gated_operand;
  return {3 * activation_bytes(node, y, sizes) + activation_bytes(node, gates, sizes),
          2 * valid_elements(node, y, sizes)};
}

void gradient(const NodeGradient& node) {
  using namespace add_gated_operand;
  const Tensor g_y = node.of_output(y);
  const AddGatedGradients made = add_gated_backward(node.operand(b), node.operand(gates),
                                                    node.params<AddGatedParams>().column, g_y);
  node.add(x, g_y);
  node.add(b, made.b);
  node.add(gates, made.gates);
}

}  // namespace

const OpInfo add_gated_info{"add_gated", cost, gradient};

}  // namespace bitaxon
