#include "ops/selective_scan_backward.h"

#include <vector>

#include "bitaxon/training_ops.h"
#include "ops/checks.h"

namespace bitaxon {

SelectiveScanGradients selective_scan_backward(const Tensor& u, const Tensor& params,
                                               const Tensor& dt, const Tensor& z,
                                               const SelectiveScanWeights& weights,
                                               const SelectiveScanOptions& options, const Tensor& h,
                                               const Tensor& g_y, const Tensor& carry) {
  constexpr std::string_view kOp = "selective_scan_backward";
  const std::int64_t n_rows = check_scan(kOp, u, params, dt, z, weights, options, h);
  const std::int64_t d_inner = weights.a_log.shape()[1];
  check_activation(kOp, "g_y", g_y, DType::f32, {n_rows, d_inner});
  check_state(kOp, "carry", carry, DType::f32, {weights.a_log.shape()[2], d_inner});
  const Graph::Argument arguments[] = {{u},
                                       {params},
                                       {dt},
                                       {z},
                                       {weights.dt_weight},
                                       {weights.dt_bias},
                                       {weights.a_log},
                                       {weights.skip},
                                       {weights.b_norm},
                                       {weights.c_norm},
                                       {h},
                                       {g_y},
                                       {carry, Access::read_write}};
  const Graph::Output rows{DType::f32, {n_rows, d_inner}};
  std::vector<Graph::Output> outputs = {rows, {DType::f32, params.shape()}, rows};
  if (!dt.empty()) outputs.push_back(rows);
  const auto made = u.graph().record(static_cast<std::uint16_t>(OpId::selective_scan_backward),
                                     scan_params(weights, options), arguments, outputs);
  return {made[0], made[1], dt.empty() ? Tensor() : made[3], made[2]};
}

const OpInfo selective_scan_backward_info{
    "selective_scan_backward", [](const NodeView& node, const StepSizes& sizes) {
      using namespace selective_scan_backward_operand;
      const Shape& a = node.shape(a_log);
      std::int64_t weights = 0;
      for (const int operand : {dt_weight, dt_bias, a_log, skip, b_norm, c_norm})
        weights += weight_bytes(node, operand);
      std::int64_t bytes = weights;
      for (const int operand : {u, params, dt, z, g_y, g_u, g_params, g_z})
        bytes += activation_bytes(node, operand, sizes);
      bytes += activation_bytes(node, dt, sizes);  // g_dt has the shape of dt
      bytes += (state_bytes(node, h) + 2 * state_bytes(node, carry)) * sizes.n_segments;
      // per state: the forward pass, its decay, two sums over states, two over channels, and G
      return Cost{bytes, sizes.n_rows * a[1] * (18 * a[2] + 40), weights};
    }};

}  // namespace bitaxon
