#include "ops/selective_scan.h"

#include <fmt/format.h>

#include <string_view>

#include "bitaxon/training_ops.h"
#include "ops/checks.h"

namespace bitaxon {

namespace {

/// Checks the arguments that say how the time step is computed.
void check_time_step(std::string_view op, const Tensor& params, const Tensor& dt,
                     const SelectiveScanWeights& weights, const SelectiveScanOptions& options,
                     std::int64_t n_rows, std::int64_t d_inner, std::int64_t d_state) {
  if (dt.empty()) {
    check_weight(op, "dt_weight", weights.dt_weight, {1, d_inner, 1});
    check_activation(op, "params", params, DType::f32, {n_rows, 2 * d_state + 1});
  } else {
    check_argument(weights.dt_weight.empty(), op, "dt_weight", "none beside dt", "a tensor");
    check_activation(op, "dt", dt, DType::f32, {n_rows, d_inner});
    check_wide_rows(op, "params", params, 2 * d_state);
    check_activation(op, "params", params, DType::f32, {n_rows, params.shape()[1]});
  }
  check_weight(op, "dt_bias", weights.dt_bias, {1, 1, d_inner});
  if (!options.clip) return;
  const auto [least, most] = *options.clip;
  if (!(least >= 0 && least <= most))
    fail_argument(op, "clip", "0 <= least <= most", fmt::format("{}, {}", least, most));
}

void check_norms(std::string_view op, const SelectiveScanWeights& weights, float eps,
                 std::int64_t d_state) {
  const bool has_norms = !weights.b_norm.empty();
  check_argument(has_norms == !weights.c_norm.empty(), op, "c_norm",
                 "present exactly when b_norm is", has_norms ? "an empty handle" : "a tensor");
  if (!has_norms) return;
  check_weight(op, "b_norm", weights.b_norm, {1, 1, d_state});
  check_weight(op, "c_norm", weights.c_norm, {1, 1, d_state});
  check_eps(op, eps);
}

}  // namespace

std::int64_t check_scan(std::string_view op, const Tensor& u, const Tensor& params,
                        const Tensor& dt, const Tensor& z, const SelectiveScanWeights& weights,
                        const SelectiveScanOptions& options, const Tensor& h) {
  const Shape a_log = weight_shape(op, "a_log", weights.a_log);
  const std::int64_t d_inner = a_log[1];
  const std::int64_t d_state = a_log[2];
  check_weight(op, "a_log", weights.a_log, {1, d_inner, d_state});
  check_weight(op, "skip", weights.skip, {1, 1, d_inner});
  check_state(op, "h", h, DType::f32, {d_state, d_inner});
  const std::int64_t n_rows = check_rows(op, "u", u, d_inner);
  check_activation(op, "z", z, DType::f32, {n_rows, d_inner});
  check_time_step(op, params, dt, weights, options, n_rows, d_inner, d_state);
  check_norms(op, weights, options.eps, d_state);
  return n_rows;
}

SelectiveScanParams scan_params(const SelectiveScanWeights& weights,
                                const SelectiveScanOptions& options) {
  SelectiveScanParams params;
  if (options.clip) {
    params.dt_min = options.clip->least;
    params.dt_max = options.clip->most;
  }
  if (!weights.b_norm.empty()) params.eps = options.eps;
  return params;
}

Tensor selective_scan(const Tensor& u, const Tensor& params, const Tensor& dt, const Tensor& z,
                      const SelectiveScanWeights& weights, const SelectiveScanOptions& options,
                      const Tensor& h) {
  check_scan("selective_scan", u, params, dt, z, weights, options, h);
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
                                       {h, Access::read_write}};
  const Graph::Output outputs[] = {{DType::f32, u.shape()}};
  return u.graph().record(static_cast<std::uint16_t>(OpId::selective_scan),
                          scan_params(weights, options), arguments, outputs)[0];
}

namespace {

void record_gradient(const NodeGradient& node) {
  using namespace selective_scan_operand;
  const auto params_of = node.params<SelectiveScanParams>();
  const SelectiveScanGradients gradients = selective_scan_backward(
      node.operand(u), node.operand(params), node.operand(dt), node.operand(z),
      {.dt_weight = node.operand(dt_weight),
       .dt_bias = node.operand(dt_bias),
       .a_log = node.operand(a_log),
       .skip = node.operand(skip),
       .b_norm = node.operand(b_norm),
       .c_norm = node.operand(c_norm)},
      {.clip = TimeStepClip{params_of.dt_min, params_of.dt_max}, .eps = params_of.eps},
      node.operand(h), node.of_output(y), node.of_state(h));
  node.add(u, gradients.u);
  node.add(params, gradients.params);
  node.add(dt, gradients.dt);
  node.add(z, gradients.z);
}

}  // namespace

const OpInfo selective_scan_info{
    "selective_scan",
    [](const NodeView& node, const StepSizes& sizes) {
      using namespace selective_scan_operand;
      const Shape& a = node.shape(a_log);
      const std::int64_t weights = weight_bytes(node, a_log) + weight_bytes(node, dt_weight) +
                                   weight_bytes(node, dt_bias) + weight_bytes(node, skip) +
                                   weight_bytes(node, b_norm) + weight_bytes(node, c_norm);
      // B, C and, for a time step of rank 1, r. Other columns of params are not read.
      const std::int64_t n_params = 2 * a[2] + (node.has(dt) ? 0 : 1);
      return Cost{weights + activation_bytes(node, u, sizes) + activation_bytes(node, dt, sizes) +
                      sizes.n_rows * n_params * 4 + activation_bytes(node, z, sizes) +
                      activation_bytes(node, y, sizes) +
                      2 * state_bytes(node, h) * sizes.n_segments,
                  // per state: exp, decay, input, output; per channel: softplus, skip, gate
                  sizes.n_rows * a[1] * (6 * a[2] + 12), weights};
    },
    record_gradient};

}  // namespace bitaxon
