#include "eager/row_layer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "bitaxon/error.h"
#include "bitaxon/ops.h"
#include "formats/weight_format.h"

namespace bitaxon {

namespace {

void check_indices(std::span<const std::byte> bytes, std::int64_t limit) {
  std::vector<std::int32_t> indices(bytes.size() / sizeof(std::int32_t));
  if (!bytes.empty()) std::memcpy(indices.data(), bytes.data(), bytes.size());
  for (const std::int32_t index : indices)
    if (index < 0 || index >= limit)
      throw Error(ErrorKind::invalid_argument,
                  fmt::format("input of a layer: expected indices below {}, got {}", limit, index));
}

}  // namespace

void check_shape(const char* name, const WeightHandle& weight, const Shape& expected) {
  if (weight->shape != expected)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("{}: expected a weight {}, got {}", name, expected.to_string(),
                            weight->shape.to_string()));
}

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
    if (form.index_limit) check_indices(inputs[n_given], *form.index_limit);
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

/// Checks the weights of n experts from D to D elements.
void check_feed_forward(const FeedForwardWeights& weights, std::int64_t n, std::int64_t d_model) {
  const std::int64_t intermediate = weights.gate->shape[1];
  check_shape("gate_proj", weights.gate, {n, intermediate, d_model});
  check_shape("up_proj", weights.up, {n, intermediate, d_model});
  check_shape("down_proj", weights.down, {n, d_model, intermediate});
}

}  // namespace

std::shared_ptr<RowLayer> linear_layer(std::shared_ptr<EagerDevice> device, WeightHandle weight,
                                       WeightHandle bias) {
  const std::int64_t cols = weight->shape[2];
  check_shape("weight", weight, {1, weight->shape[1], cols});
  if (bias != nullptr) check_shape("bias", bias, {1, 1, weight->shape[1]});
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
  check_feed_forward(weights, 1, weights.gate->shape[2]);
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
  check_feed_forward(weights.experts, weights.router->shape[1], width);
  if (weights.shared_gate != nullptr) {
    check_shape("shared_expert_gate", weights.shared_gate, {1, 1, width});
    // The experts and the shared expert have the same width.
    check_shape("shared_expert.gate_proj", weights.shared.gate,
                {1, weights.experts.gate->shape[1], width});
    check_feed_forward(weights.shared, 1, width);
  }
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
  const std::int64_t n_experts = weight->shape[0];
  const std::int64_t rows = weight->shape[1];
  const std::int64_t cols = weight->shape[2];
  // A sum over one expert with the gate 1. There is no shared expert, so the second gate counts for
  // nothing.
  return std::make_shared<RowLayer>(
      std::move(device),
      std::vector<RowForm>{{DType::f32, {1, cols}},
                           {DType::i32, {1}, {}, n_experts},
                           {DType::f32, {2}, 1.0F},
                           {DType::f32, {rows}, 0.0F}},
      [weight = std::move(weight)](Graph& graph, std::span<const Tensor> inputs) {
        return moe_down(inputs[0], inputs[1], inputs[2], graph.weight(weight), {}, inputs[3]);
      });
}

std::shared_ptr<RowLayer> switch_swiglu_layer(std::shared_ptr<EagerDevice> device,
                                              WeightHandle gate, WeightHandle up,
                                              std::int64_t top_k) {
  const std::int64_t n_experts = gate->shape[0];
  const std::int64_t cols = gate->shape[2];
  check_shape("up_proj", up, gate->shape);
  return std::make_shared<RowLayer>(
      std::move(device),
      std::vector<RowForm>{{DType::f32, {cols}}, {DType::i32, {top_k}, {}, n_experts}},
      [gate = std::move(gate), up = std::move(up)](Graph& graph, std::span<const Tensor> inputs) {
        return moe_swiglu(inputs[0], inputs[1],
                          {.gate = graph.weight(gate),
                           .up = graph.weight(up),
                           .shared_gate = {},
                           .shared_up = {}});
      });
}

}  // namespace bitaxon
