#include "ops/rms_norm_backward.h"

#include "bitaxon/training_ops.h"
#include "ops/checks.h"

namespace bitaxon {

Tensor rms_norm_backward(const Tensor& x, const Tensor& norm, float eps, const Tensor& g_y) {
  const Shape shape = weight_shape("rms_norm_backward", "norm", norm);
  check_weight("rms_norm_backward", "norm", norm, {1, 1, shape[2]});
  check_eps("rms_norm_backward", eps);
  const std::int64_t n_rows = check_wide_rows("rms_norm_backward", "x", x, shape[2]);
  check_activation("rms_norm_backward", "g_y", g_y, DType::f32, {n_rows, shape[2]});
  check_argument(g_y.row_space() == x.row_space(), "rms_norm_backward", "g_y",
                 "the same kind of rows as x (tokens or outputs)", "the other kind");
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
