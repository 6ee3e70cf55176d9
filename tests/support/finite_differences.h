// Compares gradients with central differences, in float64.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace bitaxon::test {

/// Expects that `gradient` is the gradient of the loss sum_k cotangent[k] * f()[k] with respect to
/// x. Each element of it must differ from the central difference `fd` by at most
/// 1e-6 * (|fd| + 1e-4).
/// x  the numbers that f reads; they are changed during the check
/// f  computes all results that depend on x
inline void expect_gradient(const std::string& what, std::span<double> x,
                            std::span<const double> gradient, std::span<const double> cotangent,
                            const std::function<std::vector<double>()>& f) {
  constexpr double kStep = 1e-5;
  ASSERT_EQ(gradient.size(), x.size()) << what;
  double worst = 0;
  std::string problem;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double old = x[i];
    const double above = old + kStep;
    const double below = old - kStep;
    x[i] = above;
    const std::vector<double> high = f();
    x[i] = below;
    const std::vector<double> low = f();
    x[i] = old;
    ASSERT_EQ(high.size(), cotangent.size()) << what;
    double difference = 0;
    for (std::size_t k = 0; k < high.size(); ++k) difference += cotangent[k] * (high[k] - low[k]);
    const double expected = difference / (above - below);
    const double error = std::abs(gradient[i] - expected) / (1e-6 * (std::abs(expected) + 1e-4));
    if (error <= 1) continue;
    if (problem.empty() || error > worst)
      problem = "element " + std::to_string(i) + ": " + std::to_string(gradient[i]) +
                " instead of " + std::to_string(expected);
    // A NaN is not greater than any number.
    worst = std::isnan(error) ? error : std::max(worst, error);
  }
  EXPECT_TRUE(problem.empty()) << what << ": " << problem << ", " << worst
                               << " times the allowed difference";
}

}  // namespace bitaxon::test
