// How far float32 arithmetic may be off, in whatever order a device evaluates a formula: the
// formula is evaluated once more in float64, and every number carries bounds of its error.
//
// What is legal (Vulkan specification, "Precision and Operation of SPIR-V Instructions"):
//   +, -, *   correctly rounded; to the nearest, as every known device does. A product and a sum
//             may be fused, which leaves one rounding out.
//   sums      in any order, by any tree
//   /         2.5 ULP; 1 / sqrt(x) 2 ULP, sqrt(x) that and a division; exp(x) 3 + 2 |x| ULP
//   numbers below 2^-126 may be flushed to 0 (compare() allows for it)
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace bitaxon::test {

/// The largest relative error of one rounding, and a unit in the last place, at its largest.
inline constexpr double kRounding = 0x1p-24;
inline constexpr double kUlp = 0x1p-23;
/// exp may err by 3 + 2 |x| ULP. Exponentials of the kernels' own err by 3 at most, short ones, in
/// a SiLU, by 8 (1e-6).
inline constexpr double kExpUlps = 3;
inline constexpr double kExpUlpsOfSize = 2;
inline constexpr double kShortExpUlps = 8;

/// An exact number, and how far a float32 evaluation of it may be off.
struct Rounded {
  double value = 0;
  /// No legal evaluation errs by more.
  double worst = 0;
  /// The part of functions and divisions. A device's may lean the same way everywhere.
  double bias = 0;
  /// Standard deviation of what roundings add up to: each is spread evenly over +-2^-24, and they
  /// are independent.
  double noise = 0;

  /// The smaller of two bounds. The worst case grows with the number of terms, and counts where
  /// there are few. Of many terms the roundings do not all err the same way: six standard
  /// deviations are passed once in 10^9 results. Source: Higham and Mary 2019, "A new approach to
  /// probabilistic rounding error analysis".
  double allowed() const;
};

/// x after n more roundings.
Rounded rounded(const Rounded& x, int n = 1);
/// Rounded once each.
Rounded operator+(const Rounded& a, const Rounded& b);
Rounded operator*(const Rounded& a, const Rounded& b);
Rounded operator/(const Rounded& a, const Rounded& b);

/// f(x) of a monotone f, which itself errs by at most `relative` of its result and by `absolute`.
Rounded function(const std::function<double(double)>& f, const Rounded& x, double relative,
                 double absolute = 0);
/// exp(x); what is below 2^-114 may be given up.
Rounded exp_of(const Rounded& x);
Rounded sigmoid_of(const Rounded& x);
/// x * sigmoid(x)
Rounded silu_of(const Rounded& x);

/// One row of a weight, as decoded.
struct WeightRow {
  std::span<const float> values;
  /// Summands of the values that may be multiplied and summed by themselves: the biases of
  /// scale * code + bias. Empty: none.
  std::span<const float> offsets = {};
  /// Of one decoded value.
  int roundings = 0;

  double value(std::size_t c) const { return static_cast<double>(values[c]); }
  double offset(std::size_t c) const {
    return offsets.empty() ? 0 : static_cast<double>(offsets[c]);
  }
  /// Of what the value is computed from.
  double size(std::size_t c) const { return std::abs(value(c) - offset(c)) + std::abs(offset(c)); }
};

/// A sum, in any order that does not depend on the terms. Partial sums are what is rounded. In the
/// worst case they are as large as all terms' sizes together; for an order chosen without looking,
/// the sum of a share f of the terms has a mean square of f * (sum of squares) + f^2 * (whole
/// sum)^2 at most, on average over f half of both.
class Sum {
 public:
  void add(const Rounded& term);
  /// Adds factor * w[c] * x[c] for all c. A factor, if any, may be applied before or after the sum.
  void add_products(const WeightRow& w, std::span<const Rounded> x, double factor = 1);
  Rounded result() const;

 private:
  std::int64_t n_ = 0;
  double value_ = 0;
  double size_ = 0, size2_ = 0;  ///< of what the terms are computed from, and of its squares
  double worst_ = 0, lean_ = 0, noise2_ = 0;
};

Rounded product(const WeightRow& w, std::span<const Rounded> x);

/// A row of an input: x[c], times a scale, where there is one, that may be applied at any time.
struct NormedRow {
  std::vector<Rounded> x;
  std::optional<Rounded> scale = {};
};
/// norm[c] * x[c] / sqrt(mean(x^2) + eps); x itself when norm is empty.
NormedRow normed(std::span<const float> x, std::span<const float> norm, double eps);

}  // namespace bitaxon::test
