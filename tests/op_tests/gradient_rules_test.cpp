// Tests the gradients that ops record for their nodes.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "bitaxon/training_ops.h"
#include "cases/op_case.h"
#include "core_tests/op_builders.h"
#include "op_tests/step_session.h"
#include "ops/op.h"
#include "support/backends.h"

namespace bitaxon::test {
namespace {

constexpr std::int64_t kD = 12, kI = 20, kGates = 2;
constexpr std::uint32_t kRows = 3;

std::vector<float> random_floats(Random& random, std::int64_t n, double spread) {
  std::vector<float> values(static_cast<std::size_t>(n));
  for (float& value : values) value = random.centred(spread);
  return values;
}

/// A small block that uses every op with a rule, except for adapters.
struct Block {
  std::vector<float> norm, gate, up, down, gates;

  Tensor record(const StepSession::Context& c, Backend& backend, const Tensor& x) const {
    const auto weight = [&](const Shape& shape, const std::vector<float>& values) {
      return c.graph.weight(packed_weight(backend, shape, values));
    };
    const Tensor n = rms_norm(x, weight({1, 1, kD}, norm), 1e-3F);
    const Tensor act =
        silu_mul(linear(n, weight({1, kI, kD}, gate)), linear(n, weight({1, kI, kD}, up)));
    LinearOptions options;
    options.residual = x;
    const Tensor y = linear(act, weight({1, kD, kI}, down), options);
    return add_gated(y, add(n, x), linear(n, weight({1, kGates, kD}, gates)), 1);
  }
};

/// The dot product of two vectors, in float64.
double dot(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

TEST(GradientRules, OfABlockAgreeWithADifference) {
  Random random("block");
  const Block block{random_floats(random, kD, 1), random_floats(random, kI * kD, 0.3),
                    random_floats(random, kI * kD, 0.3), random_floats(random, kD * kI, 0.3),
                    random_floats(random, kGates * kD, 0.3)};
  const auto x = random_floats(random, kRows * kD, 1);
  const auto g_y = random_floats(random, kRows * kD, 1);
  StepSession session(reference_backend(), 1);
  const SessionInput inputs[] = {rows_of(x, kD), rows_of(g_y, kD)};
  const auto g_x = session.run(kRows, inputs, [&](const StepSession::Context& c) {
    const Tensor y = block.record(c, session.backend(), c.inputs[0]);
    Gradients gradients(c.graph, gradient_rules());
    gradients.add(y, c.inputs[1]);
    gradients.record(0, c.graph.nodes().size());
    return std::vector{gradients.of(c.inputs[0])};
  })[0];
  // The difference of the loss in a few random directions.
  for (int i = 0; i < 5; ++i) {
    const auto direction = random_floats(random, kRows * kD, 1);
    constexpr float kStep = 1e-2F;
    double difference = 0;
    for (const float sign : {1.0F, -1.0F}) {
      std::vector<float> moved = x;
      for (std::size_t k = 0; k < x.size(); ++k) moved[k] += sign * kStep * direction[k];
      const SessionInput input[] = {rows_of(moved, kD)};
      const auto y = session.run(kRows, input, [&](const StepSession::Context& c) {
        return std::vector{block.record(c, session.backend(), c.inputs[0])};
      })[0];
      difference += static_cast<double>(sign) * dot(y, g_y);
    }
    const double expected = difference / (2 * static_cast<double>(kStep));
    EXPECT_NEAR(dot(g_x, direction), expected, 2e-3 * std::abs(expected) + 2e-3);
  }
}

class GradientRulesOf : public OpBuilders {};

TEST_F(GradientRulesOf, AnAdapterReachBaseInputAndResidual) {
  const Tensor gradients = state(layout_.add_shared("gradients", DType::f32, {1, 100}));
  const Tensor x = rows(8), base = rows(6), residual = rows(6), g_y = rows(6);
  for (const bool dora : {false, true}) {
    const AdapterPlace place{
        .a = 0, .b = 20, .m = 40, .rank = 2, .is_dora = dora ? 1U : 0U, .scale = 1};
    AdapterOptions options;
    options.residual = residual;
    const std::size_t first = graph_->nodes().size();
    const Tensor y = adapter(x, base, state(vector_), state(vector_), place, options);
    Gradients walk(*graph_, gradient_rules());
    walk.set_state(state(vector_), gradients);
    walk.add(y, g_y);
    walk.record(first, graph_->nodes().size());
    ASSERT_EQ(graph_->nodes().size(), first + 2);
    EXPECT_EQ(op_of(graph_->nodes().back()), OpId::adapter_backward);
    EXPECT_EQ(walk.of(residual).id(), g_y.id());
    EXPECT_EQ(walk.of(x).shape(), (Shape{4, 8}));
    EXPECT_EQ(walk.of(base).id() == g_y.id(), !dora);
  }
}

TEST_F(GradientRulesOf, DropoutDropsTheGradientToo) {
  const Tensor x = rows(8), g_y = rows(8);
  const Tensor y = dropout(x, {.p = 0.5F, .index = 3}, state(store_));
  Gradients walk(*graph_, gradient_rules());
  walk.add(y, g_y);
  walk.record(0, graph_->nodes().size());
  const auto& of_y = graph_->nodes()[0];
  const auto& of_gradient = graph_->nodes().back();
  ASSERT_EQ(graph_->nodes().size(), 2U);
  EXPECT_EQ(op_of(of_gradient), op_of(of_y));
  EXPECT_TRUE(of_gradient.params == of_y.params);
  EXPECT_EQ(walk.of(x).shape(), (Shape{4, 8}));
}

/// The ops of all nodes of a graph.
std::vector<OpId> ops_of(const Graph& graph) {
  std::vector<OpId> ops;
  for (const Node& node : graph.nodes()) ops.push_back(op_of(node));
  return ops;
}

TEST_F(GradientRulesOf, AScanReachTheConvolution) {
  const Tensor vz = rows(12);
  const auto [u, z] = ssm_conv(vz, weight({1, 6, 3}), {}, state(tail_));
  const Tensor y = selective_scan(u, rows(5), {}, z,
                                  {.dt_weight = weight({1, 6, 1}),
                                   .dt_bias = weight({1, 1, 6}),
                                   .a_log = weight({1, 6, 2}),
                                   .skip = weight({1, 1, 6})},
                                  {}, state(h_));
  Gradients walk(*graph_, gradient_rules());
  walk.set_state(state(tail_), state(layout_.add("carry", DType::f32, {2, 6}, 2)));
  walk.set_state(state(h_), state(layout_.add("h_carry", DType::f32, {2, 6}, 2)));
  walk.add(y, rows(6));
  walk.record(0, graph_->nodes().size());
  EXPECT_EQ(ops_of(*graph_), (std::vector{OpId::ssm_conv, OpId::selective_scan,
                                          OpId::selective_scan_backward, OpId::ssm_conv_backward}));
  EXPECT_EQ(walk.of(vz).shape(), (Shape{4, 12}));
}

TEST_F(GradientRulesOf, AttentionReachQueriesKeysAndValues) {
  const Tensor keys = state(layout_.add_pages("keys", DType::f32, 8, 0));
  const Tensor q = rows(8), k = rows(8), v = rows(8);
  const Tensor turned = attn_append(q, k, v, {}, 0, keys, state(pages_f32_));
  const Tensor y =
      attention(turned, keys, state(pages_f32_), {.n_heads = 2, .n_kv_heads = 2, .window = 5});
  Gradients walk(*graph_, gradient_rules());
  walk.set_state(keys, state(layout_.add_pages("g_keys", DType::f32, 8, 0)));
  walk.set_state(state(pages_f32_), state(layout_.add_pages("g_values", DType::f32, 8, 0)));
  walk.add(y, rows(8));
  walk.record(0, graph_->nodes().size());
  EXPECT_EQ(ops_of(*graph_), (std::vector{OpId::attn_append, OpId::attention,
                                          OpId::attention_backward, OpId::attn_append_backward}));
  for (const Tensor& x : {q, k, v}) EXPECT_EQ(walk.of(x).shape(), (Shape{4, 8}));
}

TEST_F(GradientRulesOf, ExpertsReachTheRouter) {
  const Tensor x = rows(8), residual = rows(8), g_y = rows(8);
  const auto route = moe_route(x, weight({1, 1, 8}), 1, weight({1, 5, 8}), {}, 2);
  const auto [gate, up] =
      moe_gate_up(route.normed, route.experts, weight({5, 7, 8}), weight({5, 7, 8}));
  const Tensor act = silu_mul(gate, up);
  const std::size_t n = graph_->nodes().size();
  const Tensor y = moe_down(act, route.experts, route.gates, weight({5, 8, 7}), {}, residual);
  Gradients walk(*graph_, gradient_rules());
  walk.add(y, g_y);
  walk.record(0, graph_->nodes().size());
  const std::vector<OpId> ops = ops_of(*graph_);
  EXPECT_EQ(std::vector(ops.begin() + static_cast<std::ptrdiff_t>(n) + 1, ops.end()),
            (std::vector{OpId::moe_down_backward, OpId::silu_mul_backward,
                         OpId::moe_gate_up_backward, OpId::moe_route_backward}));
  EXPECT_EQ(walk.of(x).shape(), (Shape{4, 8}));
  EXPECT_EQ(walk.of(residual).id(), g_y.id());

  const std::size_t first = graph_->nodes().size();
  const Tensor shared = moe_down(graph_->input(DType::f32, {4, 3, 7}), route.experts, route.gates,
                                 weight({5, 8, 7}), weight({1, 8, 7}), residual);
  Gradients refused(*graph_, gradient_rules());
  refused.add(shared, g_y);
  expect_invalid([&] { refused.record(first, graph_->nodes().size()); },
                 "no gradient with a shared expert");
}

TEST_F(GradientRulesOf, LinearRefuseNormsAndOutputs) {
  const Tensor w = weight({1, 6, 8});
  const auto walk = [&](const LinearOptions& options) {
    return [&, options] {
      const std::size_t first = graph_->nodes().size();
      const Tensor y = linear(rows(8), w, options);
      Gradients gradients(*graph_, gradient_rules());
      gradients.add(y, y);
      gradients.record(first, graph_->nodes().size());
    };
  };
  expect_invalid(walk({.norm = weight({1, 1, 8}), .eps = 1}), "without a norm");
  expect_invalid(walk({.select = RowSelect::outputs}), "of the outputs");
}

TEST_F(GradientRulesOf, TokensAndStoresEndTheWalk) {
  const Tensor y = add(embed(weight({1, 40, 8}), state(seen_), state(next_token_), 4),
                       load_rows(state(store_), 4));
  Gradients gradients(*graph_, gradient_rules());
  gradients.add(y, rows(8));
  const std::size_t n = graph_->nodes().size();
  gradients.record(0, n);
  EXPECT_EQ(graph_->nodes().size(), n);
  EXPECT_FALSE(gradients.of(y).empty());
}

}  // namespace
}  // namespace bitaxon::test
