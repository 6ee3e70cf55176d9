#include "model/block.h"

namespace bitaxon {
namespace {

/// silu(gate @ rms(x)) * (up @ rms(x))
Tensor gated(const BlockContext& context, const Tensor& x) {
  if (context.is_split({WeightId::dense_gate, WeightId::dense_up})) {
    const Tensor n = normed(context, x, WeightId::feed_forward_norm);
    return silu_mul(projection(context, n, WeightId::dense_gate),
                    projection(context, n, WeightId::dense_up));
  }
  return swiglu(x,
                {.norm = context.weight(WeightId::feed_forward_norm),
                 .gate = context.weight(WeightId::dense_gate),
                 .up = context.weight(WeightId::dense_up)},
                context.eps());
}

}  // namespace

Tensor dense(const BlockContext& context, const Tensor& x) {
  return projection(context, gated(context, x), WeightId::dense_down, {.residual = x});
}

}  // namespace bitaxon
