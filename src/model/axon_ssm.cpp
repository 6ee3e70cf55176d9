#include "model/layers.h"

namespace bitaxon {

Tensor axon_ssm(const LayerContext& context, const Tensor& x, const LayerWeights& weights,
                const LayerState& state) {
  const SsmWeights& w = weights.ssm;
  const auto [u, z] = ssm_in(x,
                             {.norm = context.weight(weights.input_norm),
                              .in_proj = context.weight(w.in_proj),
                              .conv_weight = context.weight(w.conv_weight),
                              .conv_bias = context.weight(w.conv_bias)},
                             context.eps(), context.state(state.conv_tail));
  const Tensor bcr = linear(u, context.weight(w.x_proj));
  const Tensor y = selective_scan(u, bcr, z,
                                  {.dt_weight = context.weight(w.dt_weight),
                                   .dt_bias = context.weight(w.dt_bias),
                                   .a_log = context.weight(w.a_log),
                                   .skip = context.weight(w.skip)},
                                  context.state(state.h));
  return linear(y, context.weight(w.out_proj), {.residual = x});
}

}  // namespace bitaxon
