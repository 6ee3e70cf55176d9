#include "model/block.h"

namespace bitaxon {

Tensor dense(const BlockContext& context, const Tensor& x) {
  const Tensor act = swiglu(x,
                            {.norm = context.weight(WeightId::feed_forward_norm),
                             .gate = context.weight(WeightId::dense_gate),
                             .up = context.weight(WeightId::dense_up)},
                            context.eps());
  return linear(act, context.weight(WeightId::dense_down), {.residual = x});
}

}  // namespace bitaxon
