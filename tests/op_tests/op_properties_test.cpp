// Tests of properties that ops have for all inputs.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "bitaxon/ops.h"
#include "cases/op_case.h"
#include "op_tests/step_session.h"
#include "support/backends.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

std::vector<float> random_floats(Random& random, std::int64_t n, double spread) {
  std::vector<float> values(static_cast<std::size_t>(n));
  for (float& value : values) value = random.centred(spread);
  return values;
}

constexpr std::int64_t kD = 16, kI = 24, kX = 5, kTopK = 2;

struct Experts {
  std::vector<float> router, gate, up, down;
};

/// Reorders experts. Expert e of the result is expert order[e] of `from`.
Experts permuted(const Experts& from, std::span<const std::size_t> order) {
  const auto permute = [&](const std::vector<float>& stack) {
    const std::size_t n = stack.size() / order.size();
    std::vector<float> out;
    for (std::size_t e : order)
      out.insert(out.end(), stack.begin() + static_cast<std::ptrdiff_t>(e * n),
                 stack.begin() + static_cast<std::ptrdiff_t>((e + 1) * n));
    return out;
  };
  return {permute(from.router), permute(from.gate), permute(from.up), permute(from.down)};
}

std::vector<std::vector<float>> run_experts(const Experts& w, std::span<const float> x,
                                            ScheduleOptions options = {}) {
  StepSession session(reference_backend(), 1, options);
  const SessionInput inputs[] = {rows_of(x, kD)};
  const auto pack = [&](const StepSession::Context& c, const Shape& shape,
                        std::span<const float> values) {
    return c.graph.weight(packed_weight(session.backend(), shape, values));
  };
  return session.run(
      static_cast<std::uint32_t>(static_cast<std::int64_t>(x.size()) / kD), inputs,
      [&](const StepSession::Context& c) {
        const Tensor& in = c.inputs[0];
        const auto route = moe_route(in, {}, 0, pack(c, {1, kX, kD}, w.router), {}, kTopK);
        const Tensor act =
            moe_swiglu(route.normed, route.experts,
                       {pack(c, {kX, kI, kD}, w.gate), pack(c, {kX, kI, kD}, w.up), {}, {}});
        return std::vector{
            moe_down(act, route.experts, route.gates, pack(c, {kX, kD, kI}, w.down), {}, in),
            route.experts};
      });
}

Experts random_experts(Random& random) {
  return {random_floats(random, kX * kD, 0.5), random_floats(random, kX * kI * kD, 0.25),
          random_floats(random, kX * kI * kD, 0.25), random_floats(random, kX * kD * kI, 0.2)};
}

TEST(OpProperties, PermutingExpertsChangesNothing) {
  Random random("permuted experts");
  const Experts experts = random_experts(random);
  const auto x = random_floats(random, 20 * kD, 1);
  const auto expected = run_experts(experts, x)[0];
  std::vector<std::size_t> order(kX);
  std::iota(order.begin(), order.end(), std::size_t{0});
  while (std::next_permutation(order.begin(), order.end())) {
    const auto y = run_experts(permuted(experts, order), x)[0];
    // The order in which the softmax adds its terms differs, so the gates may differ by a rounding.
    ASSERT_LE(relative_l2(y, expected), 1e-6);
  }
}

TEST(OpProperties, TiedExpertsAreChosenByIndex) {
  // All elements of expert e's row in the router are rows[e]. Experts with equal rows thus get
  // equal gates.
  struct Tie {
    std::array<float, kX> rows;
    std::array<std::int32_t, kTopK> chosen;
  };
  for (const Tie& tie : {Tie{{0, 0, 0, 0, 0}, {0, 1}}, Tie{{1, 2, 1, 2, 2}, {1, 3}},
                         Tie{{1, 1, 3, 1, 0}, {2, 0}}, Tie{{-1, -2, -1, -3, -1}, {0, 2}}}) {
    Random random("tied experts");
    Experts experts = random_experts(random);
    for (std::size_t i = 0; i < experts.router.size(); ++i)
      experts.router[i] = tie.rows[i / static_cast<std::size_t>(kD)];
    const std::vector<float> x(kD, 0.125F);
    std::array<std::int32_t, kTopK> chosen{};
    std::memcpy(chosen.data(), run_experts(experts, x)[1].data(), sizeof(chosen));
    EXPECT_EQ(chosen, tie.chosen);
  }
}

TEST(OpProperties, ReuseOfMemoryChangesNothing) {
  Random random("reuse");
  const Experts experts = random_experts(random);
  const auto x = random_floats(random, 20 * kD, 1);
  EXPECT_EQ(run_experts(experts, x, {.reuse = true})[0],
            run_experts(experts, x, {.reuse = false})[0]);
}

TEST(OpProperties, ARowWithNaNIsRoutedToValidExperts) {
  Random random("nan");
  const Experts experts = random_experts(random);
  auto x = random_floats(random, 3 * kD, 1);
  x[kD + 2] = std::numeric_limits<float>::quiet_NaN();
  x[2 * kD] = std::numeric_limits<float>::infinity();
  const auto out = run_experts(experts, x);
  std::array<std::int32_t, 3 * kTopK> chosen{};
  ASSERT_EQ(out[1].size(), chosen.size());
  std::memcpy(chosen.data(), out[1].data(), sizeof(chosen));
  for (std::size_t r = 0; r < 3; ++r) {
    for (std::size_t k = 0; k < kTopK; ++k) {
      EXPECT_GE(chosen[r * kTopK + k], 0);
      EXPECT_LT(chosen[r * kTopK + k], kX);
    }
    EXPECT_NE(chosen[r * kTopK], chosen[r * kTopK + 1]);
  }
  for (std::size_t c = 0; c < kD; ++c) EXPECT_TRUE(std::isfinite(out[0][c])) << "row 0 has no NaN";
}

}  // namespace
}  // namespace bitaxon::test
