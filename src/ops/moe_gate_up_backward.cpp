#include "ops/moe_gate_up_backward.h"

#include "bitaxon/training_ops.h"
#include "ops/checks.h"

namespace bitaxon {

Tensor moe_gate_up_backward(const Tensor& g_gate, const Tensor& g_up, const Tensor& experts,
                            const Tensor& gate, const Tensor& up) {
  constexpr std::string_view kOp = "moe_gate_up_backward";
  const Shape shape = weight_shape(kOp, "gate", gate);
  check_weight(kOp, "up", up, shape);
  const std::int64_t n_rows = experts.empty() ? 0 : experts.shape()[0];
  const std::int64_t top_k = check_experts(kOp, experts, n_rows);
  check_activation(kOp, "g_gate", g_gate, DType::f32, {n_rows, top_k, shape[1]});
  check_activation(kOp, "g_up", g_up, DType::f32, {n_rows, top_k, shape[1]});
  const Graph::Argument arguments[] = {{g_gate}, {g_up}, {experts}, {gate}, {up}};
  const Graph::Output outputs[] = {{DType::f32, {n_rows, shape[2]}}};
  return g_gate.graph().record(static_cast<std::uint16_t>(OpId::moe_gate_up_backward),
                               MoeGateUpBackwardParams{}, arguments, outputs)[0];
}

const OpInfo moe_gate_up_backward_info{
    "moe_gate_up_backward", [](const NodeView& node, const StepSizes& sizes) {
      using namespace moe_gate_up_backward_operand;
      const std::int64_t top_k = node.shape(experts)[1];
      const std::int64_t weights = chosen_expert_bytes(node, gate, top_k, sizes) +
                                   chosen_expert_bytes(node, up, top_k, sizes);
      return Cost{weights + activation_bytes(node, g_gate, sizes) +
                      activation_bytes(node, g_up, sizes) + activation_bytes(node, experts, sizes) +
                      activation_bytes(node, g_x, sizes),
                  product_flops(node, gate, sizes.n_rows * top_k) +
                      product_flops(node, up, sizes.n_rows * top_k),
                  weights};
    }};

}  // namespace bitaxon
