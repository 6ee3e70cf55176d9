#include "ops/swiglu.h"

#include "bitaxon/ops.h"
#include "ops/checks.h"

namespace bitaxon {

Tensor swiglu(const Tensor& x, const SwigluWeights& weights, float eps) {
  const Shape gate = weight_shape("swiglu", "gate", weights.gate);
  const std::int64_t intermediate = gate[1];
  const std::int64_t d_model = gate[2];
  check_weight("swiglu", "gate", weights.gate, {1, intermediate, d_model});
  check_weight("swiglu", "up", weights.up, gate);
  if (!weights.norm.empty()) {
    check_weight("swiglu", "norm", weights.norm, {1, 1, d_model});
    check_eps("swiglu", eps);
  }
  const std::int64_t n_rows = check_rows("swiglu", "x", x, d_model);
  const Graph::Argument arguments[] = {{x}, {weights.norm}, {weights.gate}, {weights.up}};
  const Graph::Output outputs[] = {{DType::f32, {n_rows, intermediate}}};
  return x.graph().record(static_cast<std::uint16_t>(OpId::swiglu),
                          SwigluParams{weights.norm.empty() ? 0.0F : eps}, arguments, outputs)[0];
}

const OpInfo swiglu_info{
    "swiglu", [](const NodeView& node, const StepSizes& sizes) {
      using namespace swiglu_operand;
      const std::int64_t n = sizes.n_rows;
      const std::int64_t weights =
          weight_bytes(node, norm) + weight_bytes(node, gate) + weight_bytes(node, up);
      return Cost{
          weights + activation_bytes(node, x, sizes) + activation_bytes(node, y, sizes),
          2 * product_flops(node, gate, n) + (node.has(norm) ? 4 * n * node.shape(x)[1] : 0),
          weights};
    }};

}  // namespace bitaxon
