#include "ops/moe_route_backward.h"

#include "bitaxon/training_ops.h"
#include "ops/checks.h"

namespace bitaxon {

Tensor moe_route_backward(const Tensor& x, const Tensor& norm, float eps, const Tensor& gate,
                          const Tensor& shared_gate, bool renormalize, const MoeRouteResult& result,
                          const Tensor& g_normed, const Tensor& g_gates) {
  constexpr std::string_view kOp = "moe_route_backward";
  const Shape shape = weight_shape(kOp, "gate", gate);
  const std::int64_t d_model = shape[2];
  check_weight(kOp, "gate", gate, {1, shape[1], d_model});
  if (!norm.empty()) {
    check_weight(kOp, "norm", norm, {1, 1, d_model});
    check_eps(kOp, eps);
  }
  if (!shared_gate.empty()) check_weight(kOp, "shared_gate", shared_gate, {1, 1, d_model});
  const std::int64_t n_rows = check_rows(kOp, "x", x, d_model);
  check_activation(kOp, "normed", result.normed, DType::f32, {n_rows, d_model});
  const std::int64_t top_k = check_experts(kOp, result.experts, n_rows);
  check_activation(kOp, "gates", result.gates, DType::f32, {n_rows, top_k + 1});
  if (!g_normed.empty()) check_activation(kOp, "g_normed", g_normed, DType::f32, {n_rows, d_model});
  if (!g_gates.empty()) check_activation(kOp, "g_gates", g_gates, DType::f32, {n_rows, top_k + 1});
  const Graph::Argument arguments[] = {{x},
                                       {norm},
                                       {gate},
                                       {shared_gate},
                                       {result.normed},
                                       {result.experts},
                                       {result.gates},
                                       {g_normed},
                                       {g_gates}};
  const Graph::Output outputs[] = {{DType::f32, {n_rows, d_model}}};
  const MoeRouteBackwardParams params{norm.empty() ? 0.0F : eps, renormalize ? 1U : 0U};
  return x.graph().record(static_cast<std::uint16_t>(OpId::moe_route_backward), params, arguments,
                          outputs)[0];
}

const OpInfo moe_route_backward_info{
    "moe_route_backward", [](const NodeView& node, const StepSizes& sizes) {
      using namespace moe_route_backward_operand;
      const std::int64_t weights =
          weight_bytes(node, norm) + weight_bytes(node, gate) + weight_bytes(node, shared_gate);
      std::int64_t bytes = weights;
      for (const int operand : {x, normed, experts, gates, g_normed, g_gates, g_x})
        bytes += activation_bytes(node, operand, sizes);
      // The logits are computed again, then comes the transposed product.
      return Cost{bytes, 2 * product_flops(node, gate, sizes.n_rows), weights};
    }};

}  // namespace bitaxon
