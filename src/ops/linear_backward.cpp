#include "ops/linear_backward.h"

#include "bitaxon/training_ops.h"
#include "ops/checks.h"

namespace bitaxon {

Tensor linear_backward(const Tensor& g_y, const Tensor& weight, std::int64_t width) {
  const Shape shape = weight_shape("linear_backward", "weight", weight);
  check_argument(shape[0] == 1, "linear_backward", "weight", "a weight [1, rows, cols]",
                 shape.to_string());
  const std::int64_t n_rows = check_rows("linear_backward", "g_y", g_y, shape[1]);
  check_argument(width >= shape[2], "linear_backward", "width",
                 std::to_string(shape[2]) + " or more", std::to_string(width));
  const Graph::Argument arguments[] = {{g_y}, {weight}};
  const Graph::Output outputs[] = {{DType::f32, {n_rows, width}, g_y.row_space()}};
  return g_y.graph().record(static_cast<std::uint16_t>(OpId::linear_backward),
                            LinearBackwardParams{}, arguments, outputs)[0];
}

const OpInfo linear_backward_info{
    "linear_backward", [](const NodeView& node, const StepSizes& sizes) {
      using namespace linear_backward_operand;
      const std::int64_t n = valid_rows(node.value(g_y), sizes);
      const std::int64_t weights = weight_bytes(node, weight);
      return Cost{weights + activation_bytes(node, g_y, sizes) + activation_bytes(node, g_x, sizes),
                  product_flops(node, weight, n), weights};
    }};

}  // namespace bitaxon
