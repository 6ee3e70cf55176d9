#include "ops/moe_route.h"

#include "bitaxon/training_ops.h"
#include "ops/checks.h"

namespace bitaxon {

MoeRouteResult moe_route(const Tensor& x, const Tensor& norm, float eps, const Tensor& gate,
                         const Tensor& shared_gate, std::int64_t top_k, bool renormalize) {
  const Shape shape = weight_shape("moe_route", "gate", gate);
  const std::int64_t n_experts = shape[1];
  const std::int64_t d_model = shape[2];
  check_weight("moe_route", "gate", gate, {1, n_experts, d_model});
  if (!norm.empty()) {
    check_weight("moe_route", "norm", norm, {1, 1, d_model});
    check_eps("moe_route", eps);
  }
  if (!shared_gate.empty()) check_weight("moe_route", "shared_gate", shared_gate, {1, 1, d_model});
  check_argument(top_k >= 1 && top_k <= n_experts, "moe_route", "top_k",
                 "1.." + std::to_string(n_experts), std::to_string(top_k));
  const std::int64_t n_rows = check_rows("moe_route", "x", x, d_model);
  const Graph::Argument arguments[] = {{x}, {norm}, {gate}, {shared_gate}};
  const Graph::Output outputs[] = {{DType::f32, {n_rows, d_model}},
                                   {DType::i32, {n_rows, top_k}},
                                   {DType::f32, {n_rows, top_k + 1}}};
  const MoeRouteParams params{norm.empty() ? 0.0F : eps, static_cast<std::int32_t>(top_k),
                              renormalize ? 1U : 0U};
  const auto made =
      x.graph().record(static_cast<std::uint16_t>(OpId::moe_route), params, arguments, outputs);
  return {made[0], made[1], made[2]};
}

namespace {

void record_gradient(const NodeGradient& node) {
  using namespace moe_route_operand;
  const auto params = node.params<MoeRouteParams>();
  node.add(x,
           moe_route_backward(node.operand(x), node.operand(norm), params.eps, node.operand(gate),
                              node.operand(shared_gate), params.renormalize != 0,
                              {node.operand(normed), node.operand(experts), node.operand(gates)},
                              node.of_output(normed), node.of_output(gates)));
}

}  // namespace

const OpInfo moe_route_info{
    "moe_route",
    [](const NodeView& node, const StepSizes& sizes) {
      using namespace moe_route_operand;
      const std::int64_t n = sizes.n_rows;
      const std::int64_t weights =
          weight_bytes(node, norm) + weight_bytes(node, gate) + weight_bytes(node, shared_gate);
      return Cost{weights + activation_bytes(node, x, sizes) +
                      activation_bytes(node, normed, sizes) +
                      activation_bytes(node, experts, sizes) + activation_bytes(node, gates, sizes),
                  product_flops(node, gate, n) +
                      (node.has(shared_gate) ? product_flops(node, shared_gate, n) : 0),
                  weights};
    },
    record_gradient};

}  // namespace bitaxon
