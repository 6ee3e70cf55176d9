// Layers that compute every row alone: products, norms and experts.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "eager/device.h"

namespace bitaxon {

using WeightHandle = std::shared_ptr<const Weight>;

/// An input of a layer: the type and the shape of a row.
struct RowForm {
  DType dtype = DType::f32;
  std::vector<std::int64_t> row_shape;
  /// If set, every element has this value, and callers do not pass the input.
  std::optional<float> constant = {};
  /// If set, the elements are i32 indices below this number.
  std::optional<std::int64_t> index_limit = {};

  std::size_t row_bytes() const;
};

/// A layer from rows to rows. run() may be called from several threads.
class RowLayer {
 public:
  using Record = std::function<Tensor(Graph& graph, std::span<const Tensor> inputs)>;

  RowLayer(std::shared_ptr<EagerDevice> device, std::vector<RowForm> inputs, Record record);

  /// Computes n_rows rows, which may be more than a step has. `inputs` holds the rows of every
  /// input that is not constant. Throws Error(invalid_argument) if their sizes do not fit, and for
  /// an index that is not below its limit.
  std::vector<float> run(std::int64_t n_rows, std::span<const std::span<const std::byte>> inputs);

 private:
  std::shared_ptr<EagerDevice> device_;
  std::vector<RowForm> forms_;
  Record record_;
  EagerSession session_;
};

/// Throws Error(invalid_argument) if a weight of a layer has another shape than the other weights
/// ask for. The ops check less: a product reads as many columns as its weight has.
void check_shape(const char* name, const WeightHandle& weight, const Shape& expected);

/// y = weight @ x + bias. weight [1, rows, cols]; bias [1, 1, rows] or null.
std::shared_ptr<RowLayer> linear_layer(std::shared_ptr<EagerDevice> device, WeightHandle weight,
                                       WeightHandle bias);

/// y = weight * x / sqrt(mean(x^2) + eps). weight [1, 1, cols].
std::shared_ptr<RowLayer> norm_layer(std::shared_ptr<EagerDevice> device, WeightHandle weight,
                                     float eps);

struct FeedForwardWeights {
  WeightHandle gate;  ///< [n, I, D]
  WeightHandle up;    ///< [n, I, D]
  WeightHandle down;  ///< [n, D, I]
};
/// y = down @ (silu(gate @ x) * (up @ x)), with n = 1.
std::shared_ptr<RowLayer> feed_forward_layer(std::shared_ptr<EagerDevice> device,
                                             const FeedForwardWeights& weights);

struct ExpertsWeights {
  WeightHandle router;         ///< [1, n, D]
  FeedForwardWeights experts;  ///< of n experts
  WeightHandle shared_gate;    ///< [1, 1, D], or null
  FeedForwardWeights shared;   ///< of one expert, or null
};
/// A mixture of experts with a router, without norm and residual.
std::shared_ptr<RowLayer> experts_layer(std::shared_ptr<EagerDevice> device,
                                        const ExpertsWeights& weights, std::int64_t top_k);

/// y = weight[expert] @ x. Inputs: x f32 [cols] and the expert i32 [1]; weight [n, rows, cols].
std::shared_ptr<RowLayer> switch_layer(std::shared_ptr<EagerDevice> device, WeightHandle weight);

/// y[s] = silu(gate[e] @ x) * (up[e] @ x), e = experts[s]. Inputs: x f32 [D] and the experts i32
/// [top_k]; the weights are [n, I, D]. Returns [top_k, I] per row.
std::shared_ptr<RowLayer> switch_swiglu_layer(std::shared_ptr<EagerDevice> device,
                                              WeightHandle gate, WeightHandle up,
                                              std::int64_t top_k);

}  // namespace bitaxon
