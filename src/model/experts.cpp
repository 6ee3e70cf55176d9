#include "model/block.h"

namespace bitaxon {

Tensor experts(const BlockContext& context, const Tensor& x, const ExpertsSpec& spec) {
  const auto [normed, chosen, gates] =
      moe_route(x, context.weight(WeightId::feed_forward_norm), context.eps(),
                context.weight(WeightId::router), context.weight(WeightId::shared_router),
                spec.top_k, spec.renormalizes);
  const Tensor act = moe_swiglu(normed, chosen,
                                {.gate = context.weight(WeightId::experts_gate),
                                 .up = context.weight(WeightId::experts_up),
                                 .shared_gate = context.weight(WeightId::shared_gate),
                                 .shared_up = context.weight(WeightId::shared_up)});
  return moe_down(act, chosen, gates, context.weight(WeightId::experts_down),
                  context.weight(WeightId::shared_down), x);
}

}  // namespace bitaxon
