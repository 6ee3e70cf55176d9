// The layers, written in ops. Each function adds one sublayer to the graph and returns the new
// residual stream x [R, D].
#pragma once

#include "bitaxon/ops.h"
#include "core/graph.h"
#include "model/state_pool.h"
#include "model/weights.h"

namespace bitaxon {

/// What the layers of one step share.
struct LayerContext {
  Graph& graph;
  const Config& config;
  const StateLayout& layout;

  float eps() const { return static_cast<float>(config.rms_norm_eps); }
  Tensor weight(const WeightRef& ref) const { return ref ? graph.weight(ref) : Tensor(); }
  Tensor state(std::int32_t index) const { return graph.state(layout, index); }
};

/// x + SSM(rms(x))
Tensor axon_ssm(const LayerContext& context, const Tensor& x, const LayerWeights& weights,
                const LayerState& state);
/// x + SWA(rms(x))
Tensor swa(const LayerContext& context, const Tensor& x, const LayerWeights& weights,
           const LayerState& state);
/// x + MoE(rms(x))
Tensor moe(const LayerContext& context, const Tensor& x, const MoeWeights& weights);
/// One whole layer of its kind.
Tensor block(const LayerContext& context, const Tensor& x, const LayerWeights& weights,
             const LayerState& state);

}  // namespace bitaxon
