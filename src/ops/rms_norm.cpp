#include "ops/rms_norm.h"

#include "bitaxon/training_ops.h"
#include "ops/checks.h"

namespace bitaxon {

Tensor rms_norm(const Tensor& x, const Tensor& norm, float eps) {
  const Shape shape = weight_shape("rms_norm", "norm", norm);
  check_weight("rms_norm", "norm", norm, {1, 1, shape[2]});
  check_eps("rms_norm", eps);
  const std::int64_t n_rows = check_wide_rows("rms_norm", "x", x, shape[2]);
  const Graph::Argument arguments[] = {{x}, {norm}};
  const Graph::Output outputs[] = {{DType::f32, {n_rows, shape[2]}, x.row_space()}};
  return x.graph().record(static_cast<std::uint16_t>(OpId::rms_norm), RmsNormParams{eps}, arguments,
                          outputs)[0];
}

namespace {

Cost cost(const NodeView& node, const StepSizes& sizes) {
  using namespace rms_norm_operand;
  const std::int64_t weights = weight_bytes(node, norm);
  return {weights + 2 * activation_bytes(node, y, sizes), 4 * valid_elements(node, y, sizes),
          weights};
}

void gradient(const NodeGradient& node) {
  using namespace rms_norm_operand;
  node.add(x, rms_norm_backward(node.operand(x), node.operand(norm),
                                node.params<RmsNormParams>().eps, node.of_output(y)));
}

}  // namespace

const OpInfo rms_norm_info{"rms_norm", cost, gradient};

}  // namespace bitaxon
