// Bounds on the error of float32 arithmetic that hold for every order in which a device may
// evaluate a formula. The formula is evaluated in float64, and every number carries bounds on its
// error.
//
// The legal errors (Vulkan specification, "Precision and Operation of SPIR-V Instructions"):
//   +, -, *   correctly rounded (to nearest on every known device). A product and a sum may be
//             fused, which saves one rounding.
//   sums      in any order, by any tree
//   /         2.5 ULP; 1 / sqrt(x) 2 ULP; sqrt(x) the errors of 1 / sqrt(x) and of a division;
//             exp(x) 3 + 2 |x| ULP
//   Numbers below 2^-126 may be flushed to 0 (compare() allows for this).
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace bitaxon::test {

/// The largest relative error of one rounding (kRounding), and the largest relative size of a unit
/// in the last place (kUlp).
inline constexpr double kRounding = 0x1p-24;
inline constexpr double kUlp = 0x1p-23;
/// A device's own exp may be off by 3 + 2 |x| ULP. Kernels that implement the exponential
/// themselves are off by at most 3 ULP. Their short version for SiLU is off by at most 8 ULP
/// (1e-6).
inline constexpr double kExpUlps = 3;
inline constexpr double kExpUlpsOfSize = 2;
inline constexpr double kShortExpUlps = 8;

/// An exact number, and bounds on the error of its float32 evaluation.
struct Rounded {
  double value = 0;
  /// The largest error that the rules above allow for any evaluation.
  double worst = 0;
  /// The error that functions and divisions contribute. On a device, this error may have the same
  /// sign for all operands.
  double bias = 0;
  /// The standard deviation of the sum of all rounding errors. Rounding errors are assumed to be
  /// independent and uniformly distributed over +-2^-24.
  double noise = 0;

  /// The smaller of two bounds: the worst case, and six standard deviations plus the bias. The
  /// worst case grows with the number of terms, so it is the smaller bound only for few terms. With
  /// many terms, the rounding errors do not all have the same sign: only one result in 10^9 exceeds
  /// six standard deviations. Source: Higham and Mary 2019, "A new approach to probabilistic
  /// rounding error analysis".
  double allowed() const;
};

/// The number x after n more roundings.
Rounded rounded(const Rounded& x, int n = 1);
/// Arithmetic whose result is rounded once.
Rounded operator+(const Rounded& a, const Rounded& b);
Rounded operator*(const Rounded& a, const Rounded& b);
Rounded operator/(const Rounded& a, const Rounded& b);

/// f(x) for a monotone f. The evaluation of f has a relative error of at most `relative`, plus an
/// absolute error of at most `absolute`.
Rounded function(const std::function<double(double)>& f, const Rounded& x, double relative,
                 double absolute = 0);
/// exp(x). A device may flush results below 2^-114 to 0.
Rounded exp_of(const Rounded& x);
Rounded sigmoid_of(const Rounded& x);
/// x * sigmoid(x), with the short exponential of the kernels.
Rounded silu_of(const Rounded& x);

/// One decoded row of a weight.
struct WeightRow {
  std::span<const float> values;
  /// The bias in each value scale * code + bias. A kernel may multiply and sum the biases
  /// separately. Empty if the format has no biases.
  std::span<const float> offsets = {};
  /// How often the decoding of one value rounds.
  int roundings = 0;

  double value(std::size_t c) const { return static_cast<double>(values[c]); }
  double offset(std::size_t c) const {
    return offsets.empty() ? 0 : static_cast<double>(offsets[c]);
  }
  /// The sum of the sizes of the two terms that make up a value: scale * code, and the bias.
  double size(std::size_t c) const { return std::abs(value(c) - offset(c)) + std::abs(offset(c)); }
};

/// A sum whose order does not depend on its terms. Each partial sum is rounded. In the worst case a
/// partial sum is as large as the sum of the sizes of all terms. If the order is independent of the
/// terms, the partial sum of a fraction f of the terms has a mean square of at most
///   f * (sum of squares) + f^2 * (whole sum)^2.
/// The average over f is at most half of (sum of squares) + (whole sum)^2.
class Sum {
 public:
  void add(const Rounded& term);
  /// Adds factor * w[c] * x[c] for all c. A kernel may apply the factor before or after the sum.
  void add_products(const WeightRow& w, std::span<const Rounded> x, double factor = 1);
  Rounded result() const;

 private:
  std::int64_t n_ = 0;
  double value_ = 0;
  double size_ = 0, size2_ = 0;  ///< sums over all terms: of the size, and of the squared size
  double worst_ = 0, lean_ = 0, noise2_ = 0;
};

Rounded product(const WeightRow& w, std::span<const Rounded> x);

/// A row of an input: the products of x[c] and an optional scale. A kernel may multiply by the
/// scale before or after it multiplies the row by a matrix.
struct NormedRow {
  std::vector<Rounded> x;
  std::optional<Rounded> scale = {};
};
/// The row norm[c] * x[c] / sqrt(mean(x^2) + eps). If norm is empty, the row x itself.
NormedRow normed(std::span<const float> x, std::span<const float> norm, double eps);

}  // namespace bitaxon::test
