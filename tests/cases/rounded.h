// Bounds on the error of float32 arithmetic, whatever order a device uses to evaluate a formula.
// The formula is evaluated in float64, and every number carries bounds on its error.
//
// The legal errors (Vulkan specification, "Precision and Operation of SPIR-V Instructions"):
//   +, -, *   correctly rounded (to nearest on every known device). A product and a sum may be
//             fused, which saves one rounding.
//   sums      in any order, by any tree
//   /         2.5 ULP; 1 / sqrt(x) 2 ULP; sqrt(x) the errors of 1 / sqrt(x) and of a division;
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
/// The exp of a device may be off by 3 + 2 |x| ULP. The exponentials that kernels implement are off
/// by at most 3 ULP, and the short version for SiLU by at most 8 ULP (1e-6).
inline constexpr double kExpUlps = 3;
inline constexpr double kExpUlpsOfSize = 2;
inline constexpr double kShortExpUlps = 8;

/// An exact number, and how far a float32 evaluation of it may be off.
struct Rounded {
  double value = 0;
  /// The largest error of any legal evaluation.
  double worst = 0;
  /// The error of functions and divisions. On a device it may have the same sign for all operands.
  double bias = 0;
  /// The standard deviation of the sum of the roundings. Roundings are taken as independent and
  /// uniformly distributed over +-2^-24.
  double noise = 0;

  /// The smaller of two bounds: the worst case, and six standard deviations plus the bias. The
  /// worst case is smaller for few terms, because it grows with the number of terms. The roundings
  /// of many terms do not all have the same sign: one result in 10^9 exceeds six standard
  /// deviations. Source: Higham and Mary 2019, "A new approach to probabilistic rounding error
  /// analysis".
  double allowed() const;
};

/// x after n more roundings.
Rounded rounded(const Rounded& x, int n = 1);
/// The result of each operator is rounded once.
Rounded operator+(const Rounded& a, const Rounded& b);
Rounded operator*(const Rounded& a, const Rounded& b);
Rounded operator/(const Rounded& a, const Rounded& b);

/// f(x) for a monotone f with a relative error of at most `relative` and an absolute error of at
/// most `absolute`.
Rounded function(const std::function<double(double)>& f, const Rounded& x, double relative,
                 double absolute = 0);
/// exp(x). A device may flush results below 2^-114 to 0.
Rounded exp_of(const Rounded& x);
Rounded sigmoid_of(const Rounded& x);
/// x * sigmoid(x)
Rounded silu_of(const Rounded& x);

/// One decoded row of a weight.
struct WeightRow {
  std::span<const float> values;
  /// The part of each value that a kernel may multiply and sum separately: the bias of scale * code
  /// + bias. Empty if the format has no biases.
  std::span<const float> offsets = {};
  /// The number of roundings in decoding one value.
  int roundings = 0;

  double value(std::size_t c) const { return static_cast<double>(values[c]); }
  double offset(std::size_t c) const {
    return offsets.empty() ? 0 : static_cast<double>(offsets[c]);
  }
  /// The total size of the terms from which a value is computed.
  double size(std::size_t c) const { return std::abs(value(c) - offset(c)) + std::abs(offset(c)); }
};

/// A sum in any order that does not depend on the terms. Each partial sum is rounded. In the worst
/// case a partial sum is as large as the sum of the sizes of all terms. For an order chosen
/// independently of the terms, the sum of a fraction f of the terms has a mean square of at most
/// f * (sum of squares) + f^2 * (whole sum)^2. The average over f is at most half of (sum of
/// squares) + (whole sum)^2.
class Sum {
 public:
  void add(const Rounded& term);
  /// Adds factor * w[c] * x[c] for all c. The factor may be applied before or after the sum.
  void add_products(const WeightRow& w, std::span<const Rounded> x, double factor = 1);
  Rounded result() const;

 private:
  std::int64_t n_ = 0;
  double value_ = 0;
  double size_ = 0, size2_ = 0;  ///< sums of the sizes and of the squared sizes of all terms
  double worst_ = 0, lean_ = 0, noise2_ = 0;
};

Rounded product(const WeightRow& w, std::span<const Rounded> x);

/// A row of an input: x[c] times an optional scale. A kernel may apply the scale before or after
/// the products.
struct NormedRow {
  std::vector<Rounded> x;
  std::optional<Rounded> scale = {};
};
/// norm[c] * x[c] / sqrt(mean(x^2) + eps); x itself if norm is empty.
NormedRow normed(std::span<const float> x, std::span<const float> norm, double eps);

}  // namespace bitaxon::test
