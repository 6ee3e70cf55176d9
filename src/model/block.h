// The blocks of a model, written in ops. Each function adds its nodes to the graph and returns the
// new residual stream x [R, D].
//
// Without an adapter, a block uses the fused ops. A layer with an adapter needs the result of its
// product, so the parts of a fused op are recorded one by one around it.
#pragma once

#include <initializer_list>

#include "bitaxon/model_spec.h"
#include "bitaxon/ops.h"
#include "core/graph.h"
#include "model/adapter_set.h"
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
  const AdapterTensors* adapter = nullptr;  ///< the model's adapter, if it has one

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
  /// Whether the ops around these layers must not be fused.
  bool is_split(std::initializer_list<WeightId> layers) const;
};

struct ProjectionOptions {
  Tensor bias{};      ///< as in LinearOptions
  Tensor residual{};  ///< as in LinearOptions
};
/// The product of x with a weight of the block, and the adapter of this layer, if it has one.
/// Returns [R, rows].
Tensor projection(const BlockContext& context, const Tensor& x, WeightId id,
                  const ProjectionOptions& options = {});
/// The RMS norm of x, as an op of its own. Without such a weight, x.
Tensor normed(const BlockContext& context, const Tensor& x, WeightId norm);

/// A selective scan with its residual: x + scan(rms(x)).
Tensor scan_mixer(const BlockContext& context, const Tensor& x, const SelectiveScanSpec& spec);
/// Attention with its residual: x + attention(rms(x)).
Tensor attention_mixer(const BlockContext& context, const Tensor& x, const AttentionSpec& spec);
/// A SwiGLU with its residual: x + swiglu(rms(x)).
Tensor dense(const BlockContext& context, const Tensor& x);
/// A mixture of experts with its residual: x + experts(rms(x)).
Tensor experts(const BlockContext& context, const Tensor& x, const ExpertsSpec& spec);
/// The first half of a block.
Tensor mixer(const BlockContext& context, const Tensor& x);
/// The second half of a block. Returns x if the block has none.
Tensor feed_forward(const BlockContext& context, const Tensor& x);
/// A whole block: its mixer, then its feed-forward part.
Tensor block(const BlockContext& context, const Tensor& x);

}  // namespace bitaxon
