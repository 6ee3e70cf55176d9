#include "model/block.h"

namespace bitaxon {

Tensor scan_mixer(const BlockContext& context, const Tensor& x, const SelectiveScanSpec& spec) {
  const auto weight = [&](WeightId id) { return context.weight(id); };
  const auto [u, z] = ssm_in(x,
                             {.norm = weight(WeightId::mixer_norm),
                              .in_proj = weight(WeightId::scan_in),
                              .in_bias = weight(WeightId::scan_in_bias),
                              .conv_weight = weight(WeightId::conv_taps),
                              .conv_bias = weight(WeightId::conv_bias)},
                             context.eps(), context.state(context.state_index.conv_tail));
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
    dt = linear(params, weight(WeightId::dt_weight),
                {.norm = weight(WeightId::dt_norm), .eps = options.eps});
  else
    weights.dt_weight = weight(WeightId::dt_weight);
  const Tensor y =
      selective_scan(u, params, dt, z, weights, options, context.state(context.state_index.h));
  return linear(y, weight(WeightId::scan_out),
                {.bias = weight(WeightId::scan_out_bias), .residual = x});
}

}  // namespace bitaxon
