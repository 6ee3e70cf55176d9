// How far float32 arithmetic may be off, whatever order a device uses for a formula: the formula is
// evaluated in float64, and every number carries bounds of its error.
//
// The legal errors (Vulkan specification, "Precision and Operation of SPIR-V Instructions"):
//   +, -, *   correctly rounded, to the nearest on every known device. A product and a sum may be
//             fused, which leaves out one rounding.
//   sums      in any order, by any tree
//   /         2.5 ULP; 1 / sqrt(x) 2 ULP; sqrt(x) as 1 / sqrt(x) and a division;
//             exp(x) 3 + 2 |x| ULP
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

/// The largest relative error of one rounding, and the largest relative size of a unit in the last
/// place.
inline constexpr double kRounding = 0x1p-24;
inline constexpr double kUlp = 0x1p-23;
/// exp may err by 3 + 2 |x| ULP. Exponentials written in the kernels err by at most 3 ULP; short
/// ones, used in SiLU, by 8 ULP (1e-6).
inline constexpr double kExpUlps = 3;
inline constexpr double kExpUlpsOfSize = 2;
inline constexpr double kShortExpUlps = 8;

/// An exact number, and how far a float32 evaluation of it may be off.
struct Rounded {
  double value = 0;
  /// The largest error of any legal evaluation.
  double worst = 0;
  /// The error of functions and divisions, which may have the same sign everywhere on a device.
  double bias = 0;
  /// Standard deviation of the sum of roundings. Roundings are independent and uniformly
  /// distributed over +-2^-24.
  double noise = 0;

  /// The smaller of two bounds. The worst case grows with the number of terms, so it applies to few
  /// terms. The roundings of many terms do not all have the same sign: one result in 10^9 exceeds
  /// six standard deviations. Source: Higham and Mary 2019, "A new approach to probabilistic
  /// rounding error analysis".
  double allowed() const;
};

/// x after n more roundings.
Rounded rounded(const Rounded& x, int n = 1);
/// Each result is rounded once.
Rounded operator+(const Rounded& a, const Rounded& b);
Rounded operator*(const Rounded& a, const Rounded& b);
Rounded operator/(const Rounded& a, const Rounded& b);

/// f(x) for a monotone f with a relative error of at most `relative` and an absolute error of at
/// most `absolute`.
Rounded function(const std::function<double(double)>& f, const Rounded& x, double relative,
                 double absolute = 0);
/// exp(x). Results below 2^-114 may be lost.
Rounded exp_of(const Rounded& x);
Rounded sigmoid_of(const Rounded& x);
/// x * sigmoid(x)
Rounded silu_of(const Rounded& x);

/// One decoded row of a weight.
struct WeightRow {
  std::span<const float> values;
  /// Terms of the values that may be multiplied and summed separately: the biases of scale * code +
  /// bias. Empty: none.
  std::span<const float> offsets = {};
  /// Roundings of one decoded value.
  int roundings = 0;

  double value(std::size_t c) const { return static_cast<double>(values[c]); }
  double offset(std::size_t c) const {
    return offsets.empty() ? 0 : static_cast<double>(offsets[c]);
  }
  /// The size of the terms that a value is computed from.
  double size(std::size_t c) const { return std::abs(value(c) - offset(c)) + std::abs(offset(c)); }
};

/// A sum in any order that does not depend on the terms. Partial sums are rounded. In the worst
/// case they are as large as the sizes of all terms together. For an order chosen independently of
/// the terms, the sum of a fraction f of the terms has a mean square of at most f * (sum of
/// squares) + f^2 * (whole sum)^2, which averages over f to half of both.
class Sum {
 public:
  void add(const Rounded& term);
  /// Adds factor * w[c] * x[c] for all c. The factor may be applied before or after the sum.
  void add_products(const WeightRow& w, std::span<const Rounded> x, double factor = 1);
  Rounded result() const;

 private:
  std::int64_t n_ = 0;
  double value_ = 0;
  double size_ = 0, size2_ = 0;  ///< of what the terms are computed from, and of its squares
  double worst_ = 0, lean_ = 0, noise2_ = 0;
};

Rounded product(const WeightRow& w, std::span<const Rounded> x);

/// A row of an input: x[c], times an optional scale that may be applied before or after the
/// products.
struct NormedRow {
  std::vector<Rounded> x;
  std::optional<Rounded> scale = {};
};
/// norm[c] * x[c] / sqrt(mean(x^2) + eps); x itself if norm is empty.
NormedRow normed(std::span<const float> x, std::span<const float> norm, double eps);

}  // namespace bitaxon::test
