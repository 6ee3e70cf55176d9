#include "model/block.h"

namespace bitaxon {
namespace {

/// The routed experts, with the residual.
Tensor routed_experts(const BlockContext& context, const MoeRouteResult& route, const Tensor& x) {
  const Tensor gate = context.weight(WeightId::experts_gate);
  const Tensor up = context.weight(WeightId::experts_up);
  Tensor act;
  if (context.is_split({})) {
    const auto [gates, ups] = moe_gate_up(route.normed, route.experts, gate, up);
    act = silu_mul(gates, ups);
  } else {
    act = moe_swiglu(route.normed, route.experts,
                     {.gate = gate, .up = up, .shared_gate = {}, .shared_up = {}});
  }
  return moe_down(act, route.experts, route.gates, context.weight(WeightId::experts_down), {}, x);
}

/// The shared expert without its gate.
Tensor shared_expert(const BlockContext& context, const Tensor& normed) {
  return projection(context,
                    silu_mul(projection(context, normed, WeightId::shared_gate),
                             projection(context, normed, WeightId::shared_up)),
                    WeightId::shared_down);
}

}  // namespace

Tensor experts(const BlockContext& context, const Tensor& x, const ExpertsSpec& spec) {
  const MoeRouteResult route =
      moe_route(x, context.weight(WeightId::feed_forward_norm), context.eps(),
                context.weight(WeightId::router), context.weight(WeightId::shared_router),
                spec.top_k, spec.renormalizes);
  if (context.is_split({WeightId::shared_gate, WeightId::shared_up, WeightId::shared_down})) {
    const Tensor y = routed_experts(context, route, x);
    if (!spec.has_shared) return y;
    return add_gated(y, shared_expert(context, route.normed), route.gates, spec.top_k);
  }
  const Tensor act = moe_swiglu(route.normed, route.experts,
                                {.gate = context.weight(WeightId::experts_gate),
                                 .up = context.weight(WeightId::experts_up),
                                 .shared_gate = context.weight(WeightId::shared_gate),
                                 .shared_up = context.weight(WeightId::shared_up)});
  return moe_down(act, route.experts, route.gates, context.weight(WeightId::experts_down),
                  context.weight(WeightId::shared_down), x);
}

}  // namespace bitaxon
