// The blocks of a model, written in ops. Each function adds its nodes to the graph and returns the
// new residual stream x [R, D].
#pragma once

#include "bitaxon/model_spec.h"
#include "bitaxon/ops.h"
#include "core/graph.h"
#include "model/state_pool.h"
#include "model/weights.h"

namespace bitaxon {

/// The inputs for recording one block.
struct BlockContext {
  Graph& graph;
  const ModelSpec& spec;
  const Weights& weights;
  const StateLayout& layout;
  const BlockState& state_index;
  std::int64_t block = 0;

  float eps() const { return static_cast<float>(spec.norm_eps); }
  /// The weight as a tensor. Empty if the block has no such weight.
  Tensor weight(WeightId id) const {
    const WeightRef weight = weights.find({id, block});
    return weight ? graph.weight(weight) : Tensor();
  }
  /// The rotary table of an attention mixer. Empty if the mixer does not rotate.
  Tensor rotary(const AttentionSpec& attention) const {
    return attention.rotary ? graph.weight(weights.rotary(*attention.rotary)) : Tensor();
  }
  Tensor state(std::int32_t index) const { return graph.state(layout, index); }
};

/// A selective scan with its residual: x + scan(rms(x)).
Tensor scan_mixer(const BlockContext& context, const Tensor& x, const SelectiveScanSpec& spec);
/// Attention with its residual: x + attention(rms(x)).
Tensor attention_mixer(const BlockContext& context, const Tensor& x, const AttentionSpec& spec);
/// A SwiGLU with its residual: x + swiglu(rms(x)).
Tensor dense(const BlockContext& context, const Tensor& x);
/// A mixture of experts with its residual: x + experts(rms(x)).
Tensor experts(const BlockContext& context, const Tensor& x, const ExpertsSpec& spec);
/// A whole block: its mixer, then its feed-forward part.
Tensor block(const BlockContext& context, const Tensor& x);

}  // namespace bitaxon
