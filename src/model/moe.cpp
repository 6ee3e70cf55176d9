#include "model/layers.h"

namespace bitaxon {

Tensor moe(const LayerContext& context, const Tensor& x, const MoeWeights& w) {
  const auto [normed, experts, gates] =
      moe_route(x, context.weight(w.norm), context.eps(), context.weight(w.gate),
                context.weight(w.shared_expert_gate), context.config.moe_top_k);
  const Tensor act = moe_swiglu(normed, experts,
                                {.gate = context.weight(w.gate_proj),
                                 .up = context.weight(w.up_proj),
                                 .shared_gate = context.weight(w.shared_gate_proj),
                                 .shared_up = context.weight(w.shared_up_proj)});
  return moe_down(act, experts, gates, context.weight(w.down_proj),
                  context.weight(w.shared_down_proj), x);
}

}  // namespace bitaxon
