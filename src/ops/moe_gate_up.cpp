#include "ops/moe_gate_up.h"

#include "bitaxon/training_ops.h"
#include "ops/checks.h"

namespace bitaxon {

MoeGateUpResult moe_gate_up(const Tensor& x, const Tensor& experts, const Tensor& gate,
                            const Tensor& up) {
  constexpr std::string_view kOp = "moe_gate_up";
  const Shape shape = weight_shape(kOp, "gate", gate);
  check_weight(kOp, "up", up, shape);
  const std::int64_t n_rows = check_rows(kOp, "x", x, shape[2]);
  const std::int64_t top_k = check_experts(kOp, experts, n_rows);
  const Graph::Argument arguments[] = {{x}, {experts}, {gate}, {up}};
  const Graph::Output rows{DType::f32, {n_rows, top_k, shape[1]}};
  const Graph::Output outputs[] = {rows, rows};
  const auto made = x.graph().record(static_cast<std::uint16_t>(OpId::moe_gate_up),
                                     MoeGateUpParams{}, arguments, outputs);
  return {made[0], made[1]};
}

namespace {

void record_gradient(const NodeGradient& node) {
  using namespace moe_gate_up_operand;
  node.add(x, moe_gate_up_backward(node.of_output(gate_rows), node.of_output(up_rows),
                                   node.operand(experts), node.operand(gate), node.operand(up)));
}

}  // namespace

const OpInfo moe_gate_up_info{
    "moe_gate_up",
    [](const NodeView& node, const StepSizes& sizes) {
      using namespace moe_gate_up_operand;
      const std::int64_t top_k = node.shape(experts)[1];
      const std::int64_t weights = chosen_expert_bytes(node, gate, top_k, sizes) +
                                   chosen_expert_bytes(node, up, top_k, sizes);
      return Cost{
          weights + activation_bytes(node, x, sizes) + activation_bytes(node, experts, sizes) +
              activation_bytes(node, gate_rows, sizes) + activation_bytes(node, up_rows, sizes),
          product_flops(node, gate, sizes.n_rows * top_k) +
              product_flops(node, up, sizes.n_rows * top_k),
          weights};
    },
    record_gradient};

}  // namespace bitaxon
