#include "ops/silu_mul_backward.h"

#include "bitaxon/training_ops.h"
#include "ops/checks.h"

namespace bitaxon {

SiluMulGradients silu_mul_backward(const Tensor& gate, const Tensor& up, const Tensor& g_y) {
  check_floats("silu_mul_backward", "gate", gate);
  check_alike("silu_mul_backward", "up", up, gate);
  check_alike("silu_mul_backward", "g_y", g_y, gate);
  const Graph::Argument arguments[] = {{gate}, {up}, {g_y}};
  const Graph::Output output{DType::f32, gate.shape(), gate.row_space()};
  const Graph::Output outputs[] = {output, output};
  const auto made = gate.graph().record(static_cast<std::uint16_t>(OpId::silu_mul_backward),
                                        SiluMulParams{}, arguments, outputs);
  return {made[0], made[1]};
}

const OpInfo silu_mul_backward_info{
    "silu_mul_backward", [](const NodeView& node, const StepSizes& sizes) {
      using namespace silu_mul_backward_operand;
      return Cost{5 * activation_bytes(node, g_y, sizes), 16 * valid_elements(node, g_y, sizes)};
    }};

}  // namespace bitaxon
