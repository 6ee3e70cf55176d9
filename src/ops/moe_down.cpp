#include "ops/moe_down.h"

#include "bitaxon/training_ops.h"
#include "ops/checks.h"

namespace bitaxon {

Tensor moe_down(const Tensor& act, const Tensor& experts, const Tensor& gates, const Tensor& down,
                const Tensor& shared_down, const Tensor& residual) {
  const Shape shape = weight_shape("moe_down", "down", down);
  const std::int64_t d_model = shape[1];
  const std::int64_t intermediate = shape[2];
  const bool shared = !shared_down.empty();
  if (shared) check_weight("moe_down", "shared_down", shared_down, {1, d_model, intermediate});
  const std::int64_t n_rows = check_rows("moe_down", "residual", residual, d_model);
  const std::int64_t top_k = check_experts("moe_down", experts, n_rows);
  check_activation("moe_down", "gates", gates, DType::f32, {n_rows, top_k + 1});
  check_activation("moe_down", "act", act, DType::f32,
                   {n_rows, top_k + (shared ? 1 : 0), intermediate});
  const Graph::Argument arguments[] = {{act},  {experts},     {gates},
                                       {down}, {shared_down}, {residual}};
  const Graph::Output outputs[] = {{DType::f32, {n_rows, d_model}}};
  return act.graph().record(static_cast<std::uint16_t>(OpId::moe_down), MoeDownParams{}, arguments,
                            outputs)[0];
}

namespace {

void record_gradient(const NodeGradient& node) {
  using namespace moe_down_operand;
  check_argument(node.operand(shared_down).empty(), "moe_down", "shared_down",
                 "none, because the op has no gradient with a shared expert", "a tensor");
  const Tensor g_y = node.of_output(y);
  const MoeDownGradients gradients = moe_down_backward(
      node.operand(act), node.operand(experts), node.operand(gates), node.operand(down), g_y);
  node.add(act, gradients.act);
  node.add(gates, gradients.gates);
  node.add(residual, g_y);
}

}  // namespace

const OpInfo moe_down_info{
    "moe_down",
    [](const NodeView& node, const StepSizes& sizes) {
      using namespace moe_down_operand;
      const std::int64_t top_k = node.shape(experts)[1];
      const std::int64_t slots = node.shape(act)[1];
      const std::int64_t weights =
          chosen_expert_bytes(node, down, top_k, sizes) + weight_bytes(node, shared_down);
      return Cost{weights + activation_bytes(node, act, sizes) +
                      activation_bytes(node, experts, sizes) +
                      activation_bytes(node, gates, sizes) +
                      activation_bytes(node, residual, sizes) + activation_bytes(node, y, sizes),
                  product_flops(node, down, sizes.n_rows * slots), weights};
    },
    record_gradient};

}  // namespace bitaxon
