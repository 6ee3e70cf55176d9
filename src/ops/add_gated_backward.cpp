#include "ops/add_gated_backward.h"

#include "bitaxon/training_ops.h"
#include "ops/checks.h"

namespace bitaxon {

AddGatedGradients add_gated_backward(const Tensor& b, const Tensor& gates, std::int64_t column,
                                     const Tensor& g_y) {
  check_wide_rows("add_gated_backward", "b", b, 1);
  check_wide_rows("add_gated_backward", "gates", gates, 1);
  const std::int64_t n_gates = gates.shape()[1];
  check_activation("add_gated_backward", "gates", gates, DType::f32, {b.shape()[0], n_gates});
  check_argument(column >= 0 && column < n_gates, "add_gated_backward", "column",
                 "0.." + std::to_string(n_gates - 1), std::to_string(column));
  check_alike("add_gated_backward", "g_y", g_y, b);
  const Graph::Argument arguments[] = {{b}, {gates}, {g_y}};
  const Graph::Output outputs[] = {{DType::f32, b.shape(), b.row_space()},
                                   {DType::f32, gates.shape(), gates.row_space()}};
  const auto made = b.graph().record(static_cast<std::uint16_t>(OpId::add_gated_backward),
                                     AddGatedParams{column}, arguments, outputs);
  return {made[0], made[1]};
}

const OpInfo add_gated_backward_info{
    "add_gated_backward", [](const NodeView& node, const StepSizes& sizes) {
      using namespace add_gated_backward_operand;
      return Cost{3 * activation_bytes(node, g_y, sizes) + 2 * activation_bytes(node, gates, sizes),
                  3 * valid_elements(node, g_y, sizes)};
    }};

}  // namespace bitaxon
