#include "ops/rms_norm_backward.h"

#include "bitaxon/training_ops.h"
#include "ops/checks.h"

namespace bitaxon {

Tensor rms_norm_backward(const Tensor& x, const Tensor& norm, float eps, const Tensor& g_y) {
  const Shape shape = weight_shape("rms_norm_backward", "norm", norm);
  check_weight("rms_norm_backward", "norm", norm, {1, 1, shape[2]});
  check_eps("rms_norm_backward", eps);
  check_rows("rms_norm_backward", "x", x, shape[2]);
  check_alike("rms_norm_backward", "g_y", g_y, x);
  const Graph::Argument arguments[] = {{x}, {norm}, {g_y}};
  const Graph::Output outputs[] = {{DType::f32, x.shape(), x.row_space()}};
  return x.graph().record(static_cast<std::uint16_t>(OpId::rms_norm_backward), RmsNormParams{eps},
                          arguments, outputs)[0];
}

const OpInfo rms_norm_backward_info{"rms_norm_backward",
                                    [](const NodeView& node, const StepSizes& sizes) {
                                      using namespace rms_norm_backward_operand;
                                      const std::int64_t weights = weight_bytes(node, norm);
                                      return Cost{weights + 3 * activation_bytes(node, g_x, sizes),
                                                  9 * valid_elements(node, g_x, sizes), weights};
                                    }};

}  // namespace bitaxon
