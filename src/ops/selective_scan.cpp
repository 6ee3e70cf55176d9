#include "ops/selective_scan.h"

#include "bitaxon/ops.h"
#include "ops/checks.h"

namespace bitaxon {

Tensor selective_scan(const Tensor& u, const Tensor& bcr, const Tensor& z,
                      const SelectiveScanWeights& weights, const Tensor& h) {
  const Shape a_log = weight_shape("selective_scan", "a_log", weights.a_log);
  const std::int64_t d_inner = a_log[1];
  const std::int64_t d_state = a_log[2];
  check_weight("selective_scan", "a_log", weights.a_log, {1, d_inner, d_state});
  check_weight("selective_scan", "dt_weight", weights.dt_weight, {1, d_inner, 1});
  check_weight("selective_scan", "dt_bias", weights.dt_bias, {1, 1, d_inner});
  check_weight("selective_scan", "skip", weights.skip, {1, 1, d_inner});
  check_state("selective_scan", "h", h, DType::f32, {d_state, d_inner});
  const std::int64_t n_rows = check_rows("selective_scan", "u", u, d_inner);
  check_activation("selective_scan", "z", z, DType::f32, {n_rows, d_inner});
  check_activation("selective_scan", "bcr", bcr, DType::f32, {n_rows, 2 * d_state + 1});
  const Graph::Argument arguments[] = {{u},
                                       {bcr},
                                       {z},
                                       {weights.dt_weight},
                                       {weights.dt_bias},
                                       {weights.a_log},
                                       {weights.skip},
                                       {h, Access::read_write}};
  const Graph::Output outputs[] = {{DType::f32, {n_rows, d_inner}}};
  return u.graph().record(static_cast<std::uint16_t>(OpId::selective_scan), SelectiveScanParams{},
                          arguments, outputs)[0];
}

const OpInfo selective_scan_info{
    "selective_scan", [](const NodeView& node, const StepSizes& sizes) {
      using namespace selective_scan_operand;
      const Shape& a = node.shape(a_log);
      const std::int64_t weights = weight_bytes(node, a_log) + weight_bytes(node, dt_weight) +
                                   weight_bytes(node, dt_bias) + weight_bytes(node, skip);
      return Cost{weights + activation_bytes(node, u, sizes) + activation_bytes(node, bcr, sizes) +
                      activation_bytes(node, z, sizes) + activation_bytes(node, y, sizes) +
                      2 * state_bytes(node, h) * sizes.n_segments,
                  // per state: exp, decay, input, output; per channel: softplus, skip, gate
                  sizes.n_rows * a[1] * (6 * a[2] + 12), weights};
    }};

}  // namespace bitaxon
