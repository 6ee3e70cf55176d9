// Checks the measures of difference between two devices against numbers computed by hand.
#include "compare/difference.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "support/tensors.h"

namespace bitaxon::tool {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

TEST(Difference, IsZeroForNoRowsAndEqualRows) {
  Difference difference;
  EXPECT_EQ(difference.problem({0, 0}), "");
  const std::vector<float> rows = {1, -2, 0, 0, 3, 4};
  difference.add(rows, rows, 3);
  EXPECT_EQ(difference.n_rows(), 3);
  EXPECT_EQ(difference.relative_l2(), 0);
  EXPECT_EQ(difference.worst_row_relative_l2(), 0);
  EXPECT_EQ(difference.worst_row(), 0);
  EXPECT_EQ(difference.largest(), 0);
  EXPECT_EQ(difference.n_not_finite(), 0);
  EXPECT_EQ(difference.problem({0, 0}), "");
}

TEST(Difference, EqualsNumbersComputedByHand) {
  // The rows of a are (3, 4), (5, 12) and (6, 8), with the norms 5, 13 and 10. The rows of b minus
  // those of a are (0, 0), (0, 1) and (-3, 4).
  Difference difference;
  difference.add(std::vector<float>{3, 4, 5, 12, 6, 8}, std::vector<float>{3, 4, 5, 13, 3, 12}, 3);
  EXPECT_DOUBLE_EQ(difference.relative_l2(), std::sqrt(26.0 / 294.0));
  EXPECT_DOUBLE_EQ(difference.worst_row_relative_l2(), 0.5);
  EXPECT_EQ(difference.worst_row(), 2);
  EXPECT_EQ(difference.largest(), 4);
  EXPECT_EQ(difference.problem({0.3, 0.51}), "");
  EXPECT_EQ(difference.problem({0.25, 1}),
            "relative L2 over all rows: expected at most 2.50e-01, got 2.97e-01");
  EXPECT_EQ(difference.problem({0.3, 0.4}),
            "relative L2 of row 2: expected at most 4.00e-01, got 5.00e-01");
}

TEST(Difference, DoesNotDependOnHowRowsAreSplit) {
  std::vector<float> a, b;
  for (int i = 0; i < 7 * 11; ++i) {
    a.push_back(std::sin(static_cast<float>(i)));
    b.push_back(a.back() + 1e-3F * std::cos(static_cast<float>(3 * i)));
  }
  Difference whole, pieces;
  whole.add(a, b, 11);
  std::size_t done = 0;
  for (const std::int64_t n_rows : {1, 6, 4}) {
    const auto n = static_cast<std::size_t>(n_rows) * 7;
    pieces.add(std::span(a).subspan(done, n), std::span(b).subspan(done, n), n_rows);
    done += n;
  }
  EXPECT_NEAR(whole.relative_l2(), test::relative_l2(b, a), 1e-12);
  EXPECT_NEAR(pieces.relative_l2(), whole.relative_l2(), 1e-15);
  EXPECT_EQ(pieces.worst_row(), whole.worst_row());
  EXPECT_EQ(pieces.worst_row_relative_l2(), whole.worst_row_relative_l2());
  EXPECT_EQ(pieces.largest(), whole.largest());
}

TEST(Difference, IsInfiniteForARowThatIsZeroOnlyInA) {
  Difference difference;
  difference.add(std::vector<float>{0, 0, 1, 1}, std::vector<float>{0, 1e-30F, 1, 1}, 2);
  EXPECT_EQ(difference.worst_row_relative_l2(), std::numeric_limits<double>::infinity());
  EXPECT_EQ(difference.worst_row(), 0);
  EXPECT_NE(difference.problem({1, 1e300}), "");
}

TEST(Difference, NaNAndInfinityAreWithinNoTolerance) {
  const Tolerance any{std::numeric_limits<double>::infinity(),
                      std::numeric_limits<double>::infinity()};
  const std::vector<float> good = {1, 2, 3, 4, 5, 6};
  for (const float bad : {kNaN, kInf, -kInf})
    for (const int where : {0, 1, 2}) {  // 0: only in a, 1: only in b, 2: in both
      std::vector<float> a = good, b = good;
      if (where != 1) a[3] = bad;
      if (where != 0) b[3] = bad;
      Difference difference;
      difference.add(a, b, 3);
      difference.add(good, std::vector<float>{2, 2, 3, 4, 5, 600}, 3);
      EXPECT_TRUE(std::isnan(difference.relative_l2()));
      EXPECT_TRUE(std::isnan(difference.worst_row_relative_l2()));
      EXPECT_TRUE(std::isnan(difference.largest()));
      EXPECT_EQ(difference.n_not_finite(), 1);
      EXPECT_EQ(difference.worst_row(), 1);
      EXPECT_EQ(difference.problem(any),
                "expected finite numbers, got 1 that are not, first in row 1");
    }
}

TEST(Tolerances, TheBoundOfARowIsLargerThanTheBoundOfAllRows) {
  EXPECT_DOUBLE_EQ(Tolerance::exact().whole, 5e-5);
  EXPECT_DOUBLE_EQ(Tolerance::exact().row, 2e-4);
  EXPECT_DOUBLE_EQ(Tolerance::fast().whole, 1e-2);
  EXPECT_DOUBLE_EQ(Tolerance::fast().row, 3e-2);
  EXPECT_DOUBLE_EQ(Tolerance::exact(0.5).row, 2);
  EXPECT_DOUBLE_EQ(Tolerance::fast(0.5).row, 1.5);
}

TEST(Likeliest, IsTheLowestIndexOfEqualLogits) {
  EXPECT_EQ(likeliest(std::vector<float>{1, 3, 2, 3}), 1);
  EXPECT_EQ(likeliest(std::vector<float>{-kInf, -5}), 1);
  EXPECT_EQ(likeliest(std::vector<float>{0, kNaN}), -1);
  EXPECT_EQ(likeliest(std::vector<float>{0, kInf}), -1);
  EXPECT_EQ(likeliest(std::vector<float>{-kInf, -kInf}), -1);
}

TEST(Parting, ANearTieIsAGapThatTwoAllowedErrorsCanClose) {
  // The root mean square of the row is 2. With a row tolerance of 0.1, two allowed errors add up to
  // 0.4.
  const std::vector<float> a = {2, 1.75F, -2, -2.222F};
  const auto part = [&](float b0, float b1) {
    return parting_of(0, 1, a, std::vector<float>{b0, b1, -2, -2.222F}, {1, 0.1});
  };
  const Parting near = part(1.875F, 2);
  EXPECT_EQ(near.a_token, 0);
  EXPECT_EQ(near.b_token, 1);
  EXPECT_DOUBLE_EQ(near.a_gap, 0.25);
  EXPECT_DOUBLE_EQ(near.b_gap, 0.125);
  EXPECT_NEAR(near.near_tie_bound, 0.4, 1e-3);
  EXPECT_NEAR(near.relative_l2, std::sqrt(0.015625 + 0.0625) / 4, 1e-4);
  EXPECT_TRUE(near.is_near_tie);
  EXPECT_FALSE(part(1.5F, 2).is_near_tie) << "too far apart on b";
  EXPECT_FALSE(parting_of(0, 2, a, a, {1, 0.1}).is_near_tie) << "too far apart on a";
  // The logits of the two candidates are close, but other logits of the rows differ.
  EXPECT_FALSE(parting_of(0, 1, a, std::vector<float>{1.875F, 2, 0, 0}, {1, 0.1}).is_near_tie);
  EXPECT_FALSE(parting_of(0, 1, a, std::vector<float>{1.875F, 2, kNaN, 0}, {1, 0.1}).is_near_tie);
}

TEST(Parting, IsNotANearTieWithoutAToken) {
  const std::vector<float> logits = {1, 1};
  for (const auto& [a, b] : {std::pair{-1, 0}, {0, -1}, {-1, -1}}) {
    const Parting parting = parting_of(a, b, logits, logits, {1, 1});
    EXPECT_FALSE(parting.is_near_tie);
    EXPECT_TRUE(std::isnan(parting.a_gap) && std::isnan(parting.b_gap));
  }
}

}  // namespace
}  // namespace bitaxon::tool
