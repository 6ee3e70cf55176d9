#include "model/layers.h"

namespace bitaxon {

Tensor block(const LayerContext& context, const Tensor& x, const LayerWeights& weights,
             const LayerState& state) {
  switch (weights.kind) {
    case LayerKind::ssm:
      return axon_ssm(context, x, weights, state);
    case LayerKind::swa_moe:
      return moe(context, swa(context, x, weights, state), weights.moe);
    case LayerKind::ssm_moe:
      return moe(context, axon_ssm(context, x, weights, state), weights.moe);
  }
  return x;
}

}  // namespace bitaxon
