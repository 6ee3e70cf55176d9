#include "model/block.h"

namespace bitaxon {
namespace {

/// Norm, in_proj, convolution.
SsmInResult scan_input(const BlockContext& context, const Tensor& x) {
  const auto weight = [&](WeightId id) { return context.weight(id); };
  const Tensor tail = context.state(context.state_index.conv_tail);
  if (context.is_split({WeightId::scan_in})) {
    const Tensor n = normed(context, x, WeightId::mixer_norm);
    const Tensor vz =
        projection(context, n, WeightId::scan_in, {.bias = weight(WeightId::scan_in_bias)});
    const auto [u, z] =
        ssm_conv(vz, weight(WeightId::conv_taps), weight(WeightId::conv_bias), tail);
    return {u, z};
  }
  return ssm_in(x,
                {.norm = weight(WeightId::mixer_norm),
                 .in_proj = weight(WeightId::scan_in),
                 .in_bias = weight(WeightId::scan_in_bias),
                 .conv_weight = weight(WeightId::conv_taps),
                 .conv_bias = weight(WeightId::conv_bias)},
                context.eps(), tail);
}

/// The projection of the time steps to the channels, of a scan with SelectiveScanSpec::dt_rank.
Tensor time_steps(const BlockContext& context, const Tensor& params, float eps) {
  const Tensor norm = context.weight(WeightId::dt_norm);
  const Tensor projected = context.weight(WeightId::dt_weight);
  if (context.is_split({}) && !norm.empty()) return linear(rms_norm(params, norm, eps), projected);
  return linear(params, projected, {.norm = norm, .eps = eps});
}

}  // namespace

Tensor scan_mixer(const BlockContext& context, const Tensor& x, const SelectiveScanSpec& spec) {
  const auto weight = [&](WeightId id) { return context.weight(id); };
  const auto [u, z] = scan_input(context, x);
  const Tensor params = linear(u, weight(WeightId::scan_params));
  SelectiveScanWeights weights{.dt_bias = weight(WeightId::dt_bias),
                               .a_log = weight(WeightId::a_log),
                               .skip = weight(WeightId::skip),
                               .b_norm = weight(WeightId::b_norm),
                               .c_norm = weight(WeightId::c_norm)};
  SelectiveScanOptions options{.eps = static_cast<float>(spec.inner_norm_eps)};
  if (spec.dt_clip)
    options.clip = {static_cast<float>(spec.dt_clip->low), static_cast<float>(spec.dt_clip->high)};
  Tensor dt;
  if (spec.dt_rank)
    dt = time_steps(context, params, options.eps);
  else
    weights.dt_weight = weight(WeightId::dt_weight);
  const Tensor y =
      selective_scan(u, params, dt, z, weights, options, context.state(context.state_index.h));
  return projection(context, y, WeightId::scan_out,
                    {.bias = weight(WeightId::scan_out_bias), .residual = x});
}

}  // namespace bitaxon
