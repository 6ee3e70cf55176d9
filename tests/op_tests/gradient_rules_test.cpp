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
