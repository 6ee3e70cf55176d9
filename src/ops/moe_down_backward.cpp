#include "ops/moe_down_backward.h"

#include "bitaxon/training_ops.h"
#include "ops/checks.h"

namespace bitaxon {

MoeDownGradients moe_down_backward(const Tensor& act, const Tensor& experts, const Tensor& gates,
                                   const Tensor& down, const Tensor& g_y) {
  constexpr std::string_view kOp = "moe_down_backward";
  const Shape shape = weight_shape(kOp, "down", down);
  const std::int64_t n_rows = check_rows(kOp, "g_y", g_y, shape[1]);
  const std::int64_t top_k = check_experts(kOp, experts, n_rows);
  check_activation(kOp, "gates", gates, DType::f32, {n_rows, top_k + 1});
  check_activation(kOp, "act", act, DType::f32, {n_rows, top_k, shape[2]});
  const Graph::Argument arguments[] = {{act}, {experts}, {gates}, {down}, {g_y}};
  const Graph::Output outputs[] = {{DType::f32, act.shape()}, {DType::f32, gates.shape()}};
  const auto made = act.graph().record(static_cast<std::uint16_t>(OpId::moe_down_backward),
                                       MoeDownBackwardParams{}, arguments, outputs);
  return {made[0], made[1]};
}

const OpInfo moe_down_backward_info{
    "moe_down_backward", [](const NodeView& node, const StepSizes& sizes) {
      using namespace moe_down_backward_operand;
      const std::int64_t top_k = node.shape(experts)[1];
      const std::int64_t weights = chosen_expert_bytes(node, down, top_k, sizes);
      std::int64_t bytes = weights;
      for (const int operand : {act, experts, gates, g_y, g_act, g_gates})
        bytes += activation_bytes(node, operand, sizes);
      return Cost{bytes, product_flops(node, down, sizes.n_rows * top_k), weights};
    }};

}  // namespace bitaxon
