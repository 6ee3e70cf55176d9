// The linear layers of a model that have an adapter, and the places of their parameters.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bitaxon/model_spec.h"
#include "bitaxon/tensor.h"
#include "bitaxon/train.h"
#include "bitaxon/training_ops.h"

namespace bitaxon {

/// One adapted linear layer.
struct AdaptedLinear {
  WeightKey key;
  std::string slot_name;  ///< the name of its weight: "layer_3.ssm.in_proj.weight"
  std::string path;       ///< the same without ".weight"
  std::int64_t n_in = 0, n_out = 0;
  AdapterPlace place;
  DropoutParams dropout = {};
};

/// All adapted layers of a model, in the order of its blocks. Their parameters are ranges of one
/// vector: A, B and, for DoRA, m of each layer.
struct AdapterSet {
  std::vector<AdaptedLinear> layers;
  std::int64_t n_parameters = 0;
  std::int64_t n_norms = 0;   ///< elements of the vector of DoRA's norms
  std::int64_t n_inputs = 0;  ///< of all layers: the columns of masks of dropout

  /// nullptr if the layer has no adapter.
  const AdaptedLinear* find(const WeightKey& key) const;
  bool is_dora() const { return n_norms > 0; }
};

/// The layers that can have an adapter, without places. Routed experts, routers, the parameters of a
/// scan, embedding and head cannot.
std::vector<AdaptedLinear> adaptable_layers(const ModelSpec& spec);

/// The adapter that `settings` describe, for a model. Throws Error(invalid_argument) for a rank, a scale, a dropout
/// or a number of blocks out of range, for a target that no layer of the model has, and if the model
/// has no layer to adapt. `seed` is the seed of dropout.
AdapterSet adapter_set(const ModelSpec& spec, const AdapterSettings& settings, std::uint64_t seed);

/// The tensors of an adapter in a graph.
struct AdapterTensors {
  const AdapterSet* set = nullptr;
  Tensor parameters;  ///< shared state [1, n_parameters]
  Tensor norms;       ///< shared state [1, n_norms]; [1, 1] for LoRA
  Tensor masks = {};  ///< shared state [rows, n_inputs], or empty to draw the masks of dropout
  /// Whether the graph is to be walked backwards. Then no op of the graph is fused, because fused ops
  /// have no gradients.
  bool differentiable = false;
};

}  // namespace bitaxon
