#include "model/layers.h"

namespace bitaxon {

Tensor swa(const LayerContext& context, const Tensor& x, const LayerWeights& weights,
           const LayerState& state) {
  const SwaWeights& w = weights.swa;
  const Config& config = context.config;
  const Tensor keys = context.state(state.keys);
  const Tensor values = context.state(state.values);
  const Tensor q = attn_in(x,
                           {.norm = context.weight(weights.input_norm),
                            .q = context.weight(w.q_proj),
                            .k = context.weight(w.k_proj),
                            .v = context.weight(w.v_proj)},
                           context.eps(), keys, values);
  const Tensor y = attention(q, keys, values, config.num_heads, config.window());
  return linear(y, context.weight(w.o_proj), {.residual = x});
}

}  // namespace bitaxon
