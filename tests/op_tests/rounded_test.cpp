// Tests of the bounds on the error of float32 arithmetic. A sum in any order must stay within its
// bounds, and arithmetic of lower precision must exceed them.
#include "cases/rounded.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "cases/op_harness.h"
#include "core/half.h"
#include "support/backends.h"

namespace bitaxon::test {
namespace {

using Floats = std::vector<float>;

/// Computes sum_c w[c] * x[c] in one particular order, with or without fused multiply-adds.
using Order = std::function<float(const Floats& w, const Floats& x, bool fused)>;

float multiply_add(float a, float b, float c, bool fused) {
  if (fused) return std::fma(a, b, c);
  volatile float product = a * b;  // prevents the compiler from fusing the product with the sum
  return product + c;
}

float forwards(const Floats& w, const Floats& x, bool fused) {
  float sum = 0;
  for (std::size_t c = 0; c < w.size(); ++c) sum = multiply_add(w[c], x[c], sum, fused);
  return sum;
}

float backwards(const Floats& w, const Floats& x, bool fused) {
  float sum = 0;
  for (std::size_t c = w.size(); c-- > 0;) sum = multiply_add(w[c], x[c], sum, fused);
  return sum;
}

/// Makes n sums, each over every n-th term, and then adds the sums in pairs. The lanes of a
/// subgroup add in this order.
Order in_lanes(std::size_t n) {
  return [n](const Floats& w, const Floats& x, bool fused) {
    Floats sums(n, 0.0F);
    for (std::size_t c = 0; c < w.size(); ++c)
      sums[c % n] = multiply_add(w[c], x[c], sums[c % n], fused);
    for (std::size_t half = n / 2; half > 0; half /= 2)
      for (std::size_t i = 0; i < half; ++i) sums[i] += sums[i + half];
    return sums[0];
  };
}

/// Adds four products at a time, and then adds their sum to the total, as tiled kernels do.
float by_fours(const Floats& w, const Floats& x, bool fused) {
  float sum = 0;
  for (std::size_t c = 0; c < w.size(); c += 4) {
    float four = 0;
    for (std::size_t i = c; i < std::min(c + 4, w.size()); ++i)
      four = multiply_add(w[i], x[i], four, fused);
    sum += four;
  }
  return sum;
}

const std::vector<Order>& orders() {
  static const std::vector<Order> all = {forwards,    backwards,    by_fours,
                                         in_lanes(4), in_lanes(16), in_lanes(64)};
  return all;
}

struct Row {
  Floats w, x;
  double exact() const {
    double sum = 0;
    for (std::size_t c = 0; c < w.size(); ++c)
      sum += static_cast<double>(w[c]) * static_cast<double>(x[c]);
    return sum;
  }
  double allowed() const { return product({w}, normed(x, {}, 0).x).allowed(); }
};

/// A row with random w and x. Both have the mean `mean`.
Row random_row(Random& random, std::size_t n, double mean) {
  Row row;
  for (std::size_t c = 0; c < n; ++c) {
    row.w.push_back(random.centred(1) + static_cast<float>(mean));
    row.x.push_back(random.centred(1) + static_cast<float>(mean));
  }
  return row;
}

/// The largest error of `sum` over many random rows, as a fraction of the allowed error.
double largest_share(std::size_t n, double mean, const std::function<float(const Row&)>& sum) {
  Random random(fmt::format("rows of {} around {}", n, mean));
  double largest = 0;
  for (std::size_t i = 0; i < 50'000 / n + 1; ++i) {
    const Row row = random_row(random, n, mean);
    const double error = std::abs(static_cast<double>(sum(row)) - row.exact());
    largest = std::max(largest, error / row.allowed());
  }
  return largest;
}

TEST(LengthyRounded, EveryOrderOfASumIsWithinTheBounds) {
  for (const std::size_t n : {1U, 2U, 3U, 5U, 16U, 40U, 256U, 4096U})
    for (const double mean : {0.0, 1.0})
      for (const bool fused : {false, true})
        for (std::size_t i = 0; i < orders().size(); ++i) {
          const double share = largest_share(
              n, mean, [&](const Row& row) { return orders()[i](row.w, row.x, fused); });
          EXPECT_LE(share, 1) << n << " terms around " << mean << ", order " << i;
        }
}

TEST(Rounded, BoundsAreNotMuchLargerThanActualErrors) {
  for (const std::size_t n : {2U, 16U, 256U, 4096U})
    EXPECT_GT(largest_share(n, 0, [](const Row& row) { return forwards(row.w, row.x, false); }),
              0.15)
        << n << " terms";
}

/// Like largest_share(), for exact sums of rows that `change` has changed. The errors are relative
/// to the sums of the unchanged rows.
double share_of_changed(std::size_t n, const std::function<void(Row&)>& change) {
  return largest_share(n, 0, [&](const Row& row) {
    Row changed = row;
    change(changed);
    return static_cast<float>(changed.exact());
  });
}

TEST(Rounded, LowerPrecisionExceedsTheBounds) {
  for (const std::size_t n : {1U, 16U, 256U, 4096U}) {
    SCOPED_TRACE(n);
    EXPECT_GT(share_of_changed(n,
                               [](Row& row) {
                                 for (float& x : row.x) x = f16_to_f32(f32_to_f16(x));
                               }),
              4)
        << "factors rounded to 16 bits";
    EXPECT_GT(share_of_changed(n, [](Row& row) { row.x.back() = 0; }), 4) << "a missing term";
    EXPECT_GT(share_of_changed(n, [](Row& row) { std::swap(row.x.front(), row.x.back()); }),
              n == 1 ? -1 : 4)
        << "two columns exchanged";
  }
}

TEST(Rounded, ACancelingSumKeepsTheRoundingErrorsOfItsTerms) {
  const Row row{{1, 1, 1e-4F}, {1.1F, -1.1F, 1}};
  EXPECT_NEAR(row.exact(), 1e-4, 1e-9);
  EXPECT_GT(row.allowed(), kRounding);
  EXPECT_LT(row.allowed(), 10 * kRounding);
}

TEST(Rounded, AnExactValueHasNoAllowedError) {
  EXPECT_EQ(Rounded{3}.allowed(), 0);
  Sum one;
  one.add({3});
  EXPECT_EQ(one.result().allowed(), 0);
  EXPECT_NEAR((Rounded{3} * Rounded{7}).allowed(), 21 * kRounding, 1e-12);
}

TEST(Rounded, FunctionsPropagateTheErrorOfTheirArgument) {
  const Rounded x{2, 1e-3, 0, 0};
  EXPECT_NEAR(exp_of(x).worst, 1e-3 * std::exp(2), 1e-4);
  EXPECT_NEAR(sigmoid_of(x).worst, 1e-3 * 0.105, 1e-5);
  EXPECT_NEAR(silu_of(x).worst, 1e-3 * 1.091, 1e-5);
  EXPECT_NEAR((Rounded{1} / x).worst, 1e-3 / 4, 1e-6);
  // Where SiLU is flat, an error of its argument has almost no effect.
  EXPECT_LT(silu_of({-1000, 1, 0, 0}).worst, 0.3);
  EXPECT_LT(exp_of({-1000, 100, 0, 0}).worst, 1e-30);
}

TEST(Rounded, EveryFloatResultOfEveryOpHasABound) {
  for (const OpCases& cases : every_op_case()) {
    const OpProblem problem = problem_of(cases.op, cases.cases[0]);
    const OpRun run = expected_run(reference_backend(), problem);
    for (const OpResult& result : run.results) {
      SCOPED_TRACE(fmt::format("{}: {}", cases.op, result.name));
      if (!problem.errors && is_float(result.dtype)) {
        // The gradients of long chains of formulas have a tolerance with a reason instead.
        EXPECT_GT(cases.cases[0].tolerance.relative, 0);
        EXPECT_LE(cases.cases[0].tolerance.relative, 1e-5);
        continue;
      }
      EXPECT_EQ(result.allowed.size(),
                is_float(result.dtype) ? result.bytes.size() / size_of(result.dtype) : 0);
      for (const double allowed : result.allowed) EXPECT_TRUE(std::isfinite(allowed));
    }
  }
}

}  // namespace
}  // namespace bitaxon::test
