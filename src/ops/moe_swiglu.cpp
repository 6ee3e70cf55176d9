#include "ops/moe_swiglu.h"

#include "bitaxon/ops.h"
#include "ops/checks.h"

namespace bitaxon {

Tensor moe_swiglu(const Tensor& x, const Tensor& experts, const MoeSwigluWeights& weights) {
  const Shape gate = weight_shape("moe_swiglu", "gate", weights.gate);
  const std::int64_t d_model = gate[2];
  const std::int64_t intermediate = gate[1];
  check_weight("moe_swiglu", "up", weights.up, gate);
  const bool shared = !weights.shared_gate.empty();
  check_argument(shared == !weights.shared_up.empty(), "moe_swiglu", "shared_up",
                 "present exactly when shared_gate is", shared ? "an empty handle" : "a tensor");
  if (shared) {
    check_weight("moe_swiglu", "shared_gate", weights.shared_gate, {1, intermediate, d_model});
    check_weight("moe_swiglu", "shared_up", weights.shared_up, {1, intermediate, d_model});
  }
  const std::int64_t n_rows = check_rows("moe_swiglu", "x", x, d_model);
  const std::int64_t top_k = check_experts("moe_swiglu", experts, n_rows);
  const Graph::Argument arguments[] = {
      {x}, {experts}, {weights.gate}, {weights.up}, {weights.shared_gate}, {weights.shared_up}};
  const Graph::Output outputs[] = {{DType::f32, {n_rows, top_k + (shared ? 1 : 0), intermediate}}};
  return x.graph().record(static_cast<std::uint16_t>(OpId::moe_swiglu), MoeSwigluParams{},
                          arguments, outputs)[0];
}

const OpInfo moe_swiglu_info{
    "moe_swiglu", [](const NodeView& node, const StepSizes& sizes) {
      using namespace moe_swiglu_operand;
      const std::int64_t top_k = node.shape(experts)[1];
      const std::int64_t slots = node.shape(y)[1];
      const std::int64_t weights = chosen_expert_bytes(node, gate, top_k, sizes) +
                                   chosen_expert_bytes(node, up, top_k, sizes) +
                                   weight_bytes(node, shared_gate) + weight_bytes(node, shared_up);
      return Cost{weights + activation_bytes(node, x, sizes) +
                      activation_bytes(node, experts, sizes) + activation_bytes(node, y, sizes),
                  2 * product_flops(node, gate, sizes.n_rows * slots), weights};
    }};

}  // namespace bitaxon
