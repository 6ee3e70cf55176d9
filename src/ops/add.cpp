#include "ops/add.h"

#include "bitaxon/training_ops.h"
#include "ops/checks.h"

namespace bitaxon {

Tensor add(const Tensor& a, const Tensor& b) {
  check_floats("add", "a", a);
  check_alike("add", "b", b, a);
  const Graph::Argument arguments[] = {{a}, {b}};
  const Graph::Output outputs[] = {{DType::f32, a.shape(), a.row_space()}};
  return a.graph().record(static_cast<std::uint16_t>(OpId::add), AddParams{}, arguments,
                          outputs)[0];
}

namespace {

Cost cost(const NodeView& node, const StepSizes& sizes) {
  using namespace add_operand;
  return {3 * activation_bytes(node, y, sizes), valid_elements(node, y, sizes)};
}

void gradient(const NodeGradient& node) {
  using namespace add_operand;
  node.add(a, node.of_output(y));
  node.add(b, node.of_output(y));
}

}  // namespace

const OpInfo add_info{"add", cost, gradient};

}  // namespace bitaxon
