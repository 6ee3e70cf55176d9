#include "ops/silu_mul.h"

#include "bitaxon/training_ops.h"
#include "ops/checks.h"

namespace bitaxon {

Tensor silu_mul(const Tensor& gate, const Tensor& up) {
  check_floats("silu_mul", "gate", gate);
  check_alike("silu_mul", "up", up, gate);
  const Graph::Argument arguments[] = {{gate}, {up}};
  const Graph::Output outputs[] = {{DType::f32, gate.shape(), gate.row_space()}};
  return gate.graph().record(static_cast<std::uint16_t>(OpId::silu_mul), SiluMulParams{}, arguments,
                             outputs)[0];
}

namespace {

Cost cost(const NodeView& node, const StepSizes& sizes) {
  using namespace silu_mul_operand;
  return {3 * activation_bytes(node, y, sizes), 10 * valid_elements(node, y, sizes)};
}

void gradient(const NodeGradient& node) {
  using namespace silu_mul_operand;
  const SiluMulGradients made =
      silu_mul_backward(node.operand(gate), node.operand(up), node.of_output(y));
  node.add(gate, made.gate);
  node.add(up, made.up);
}

}  // namespace

const OpInfo silu_mul_info{"silu_mul", cost, gradient};

}  // namespace bitaxon
