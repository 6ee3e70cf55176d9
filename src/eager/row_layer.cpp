#include "eager/row_layer.h"

#include <fmt/format.h>

#include <algorithm>

#include "bitaxon/error.h"
#include "bitaxon/ops.h"
#include "formats/weight_format.h"

namespace bitaxon {

std::size_t RowForm::row_bytes() const {
  std::size_t bytes = size_of(dtype);
  for (const std::int64_t extent : row_shape) bytes *= static_cast<std::size_t>(extent);
  return bytes;
}

RowLayer::RowLayer(std::shared_ptr<EagerDevice> device, std::vector<RowForm> inputs, Record record)
    : device_(std::move(device)),
      forms_(std::move(inputs)),
      record_(std::move(record)),
      session_(device_->backend(), 1, {.memory = device_->memory()}) {}

std::vector<float> RowLayer::run(std::int64_t n_rows,
                                 std::span<const std::span<const std::byte>> inputs) {
  std::size_t n_given = 0;
  for (const RowForm& form : forms_) {
    if (form.constant) continue;
    const std::size_t expected = form.row_bytes() * static_cast<std::size_t>(n_rows);
    const std::size_t got = n_given < inputs.size() ? inputs[n_given].size() : 0;
    if (got != expected)
      throw Error(ErrorKind::invalid_argument,
                  fmt::format("input {} of a layer: expected {} bytes for {} rows, got {}", n_given,
                              expected, n_rows, got));
    ++n_given;
  }
  const auto lock = device_->lock();
  std::vector<float> result;
  for (std::int64_t at = 0; at < n_rows; at += kMaxRows) {
    const std::int64_t n = std::min<std::int64_t>(n_rows - at, kMaxRows);
    device_->check_cancelled();
    std::vector<SessionInput> rows;
    std::vector<std::vector<float>> constants;
    std::size_t next = 0;
    for (const RowForm& form : forms_) {
      const std::size_t size = form.row_bytes() * static_cast<std::size_t>(n);
      if (form.constant) {
        constants.emplace_back(size / sizeof(float), *form.constant);
        rows.push_back({form.dtype, form.row_shape, std::as_bytes(std::span(constants.back()))});
      } else {
        const std::size_t offset = form.row_bytes() * static_cast<std::size_t>(at);
        rows.push_back({form.dtype, form.row_shape, inputs[next++].subspan(offset, size)});
      }
    }
    const auto out = session_.run(
        static_cast<std::uint32_t>(n), rows,
        [&](const EagerSession::Context& c) { return std::vector{record_(c.graph, c.inputs)}; })[0];
    if (result.empty())
      result.reserve(out.size() / static_cast<std::size_t>(n) * static_cast<std::size_t>(n_rows));
    result.insert(result.end(), out.begin(), out.end());
  }
  return result;
}

namespace {

Tensor optional_weight(Graph& graph, const WeightHandle& weight) {
  return weight == nullptr ? Tensor() : graph.weight(weight);
}

/// A matrix of zeros.
WeightHandle zeros(EagerDevice& device, const Shape& shape) {
  const std::vector<float> values(static_cast<std::size_t>(shape.elements()), 0.0F);
  WeightDesc desc;
  desc.name = "zeros";
  desc.n_matrices = shape[0];
  desc.rows = shape[1];
  desc.cols = shape[2];
  const auto lock = device.lock();
  return device.backend().pack(desc, {.data = std::as_bytes(std::span(values))});
}

}  // namespace

std::shared_ptr<RowLayer> linear_layer(std::shared_ptr<EagerDevice> device, WeightHandle weight,
                                       WeightHandle bias) {
  const std::int64_t cols = weight->shape[2];
  return std::make_shared<RowLayer>(std::move(device), std::vector<RowForm>{{DType::f32, {cols}}},
                                    [weight = std::move(weight), bias = std::move(bias)](
                                        Graph& graph, std::span<const Tensor> inputs) {
                                      LinearOptions options;
                                      options.bias = optional_weight(graph, bias);
                                      return linear(inputs[0], graph.weight(weight), options);
                                    });
}

std::shared_ptr<RowLayer> norm_layer(std::shared_ptr<EagerDevice> device, WeightHandle weight,
                                     float eps) {
  const std::int64_t cols = weight->shape[2];
  // The router of experts returns the normed row beside its choice. Here, the only expert is
  // chosen.
  WeightHandle router = zeros(*device, {1, 1, cols});
  return std::make_shared<RowLayer>(
      std::move(device), std::vector<RowForm>{{DType::f32, {cols}}},
      [weight = std::move(weight), router = std::move(router), eps](
          Graph& graph, std::span<const Tensor> inputs) {
        return moe_route(inputs[0], graph.weight(weight), eps, graph.weight(router), {}, 1).normed;
      });
}

std::shared_ptr<RowLayer> feed_forward_layer(std::shared_ptr<EagerDevice> device,
                                             const FeedForwardWeights& weights) {
  return std::make_shared<RowLayer>(
      std::move(device), std::vector<RowForm>{{DType::f32, {weights.gate->shape[2]}}},
      [weights](Graph& graph, std::span<const Tensor> inputs) {
        const Tensor act = swiglu(
            inputs[0],
            {.norm = {}, .gate = graph.weight(weights.gate), .up = graph.weight(weights.up)}, 0);
        return linear(act, graph.weight(weights.down));
      });
}

std::shared_ptr<RowLayer> experts_layer(std::shared_ptr<EagerDevice> device,
                                        const ExpertsWeights& weights, std::int64_t top_k) {
  const std::int64_t width = weights.router->shape[2];
  return std::make_shared<RowLayer>(
      std::move(device), std::vector<RowForm>{{DType::f32, {width}}, {DType::f32, {width}, 0.0F}},
      [weights, top_k](Graph& graph, std::span<const Tensor> inputs) {
        const MoeRouteResult route = moe_route(inputs[0], {}, 0, graph.weight(weights.router),
                                               optional_weight(graph, weights.shared_gate), top_k);
        const Tensor act = moe_swiglu(route.normed, route.experts,
                                      {.gate = graph.weight(weights.experts.gate),
                                       .up = graph.weight(weights.experts.up),
                                       .shared_gate = optional_weight(graph, weights.shared.gate),
                                       .shared_up = optional_weight(graph, weights.shared.up)});
        return moe_down(act, route.experts, route.gates, graph.weight(weights.experts.down),
                        optional_weight(graph, weights.shared.down), inputs[1]);
      });
}

std::shared_ptr<RowLayer> switch_layer(std::shared_ptr<EagerDevice> device, WeightHandle weight) {
  const std::int64_t rows = weight->shape[1];
  const std::int64_t cols = weight->shape[2];
  // A sum over one expert with the gate 1. There is no shared expert, so the second gate counts for
  // nothing.
  return std::make_shared<RowLayer>(
      std::move(device),
      std::vector<RowForm>{{DType::f32, {1, cols}},
                           {DType::i32, {1}},
                           {DType::f32, {2}, 1.0F},
                           {DType::f32, {rows}, 0.0F}},
      [weight = std::move(weight)](Graph& graph, std::span<const Tensor> inputs) {
        return moe_down(inputs[0], inputs[1], inputs[2], graph.weight(weight), {}, inputs[3]);
      });
}

std::shared_ptr<RowLayer> switch_swiglu_layer(std::shared_ptr<EagerDevice> device,
                                              WeightHandle gate, WeightHandle up,
                                              std::int64_t top_k) {
  const std::int64_t cols = gate->shape[2];
  return std::make_shared<RowLayer>(
      std::move(device), std::vector<RowForm>{{DType::f32, {cols}}, {DType::i32, {top_k}}},
      [gate = std::move(gate), up = std::move(up)](Graph& graph, std::span<const Tensor> inputs) {
        return moe_swiglu(inputs[0], inputs[1],
                          {.gate = graph.weight(gate),
                           .up = graph.weight(up),
                           .shared_gate = {},
                           .shared_up = {}});
      });
}

}  // namespace bitaxon
