#include "cases/rounded.h"

#include <algorithm>
#include <cmath>

namespace bitaxon::test {
namespace {

constexpr double kDeviations = 6;

double square(double x) { return x * x; }

/// Two variances: of the rounding of a number of size 1, and of an error that is uniformly
/// distributed in [-1, 1].
constexpr double kRoundingVariance = kRounding * kRounding / 3;
constexpr double kEvenVariance = 1.0 / 3;

/// An upper bound of (1 + kRounding)^n - 1, the largest relative error of n successive roundings.
double worst_of(double n) { return n * kRounding / (1 - n * kRounding); }

}  // namespace

double Rounded::allowed() const { return std::min(worst, bias + kDeviations * noise); }

Rounded rounded(const Rounded& x, int n) {
  const double size = std::abs(x.value);
  return {x.value, x.worst + worst_of(n) * (size + x.worst), x.bias,
          std::sqrt(square(x.noise) + n * kRoundingVariance * square(size))};
}

Rounded operator+(const Rounded& a, const Rounded& b) {
  return rounded({a.value + b.value, a.worst + b.worst, a.bias + b.bias,
                  std::sqrt(square(a.noise) + square(b.noise))});
}

Rounded operator*(const Rounded& a, const Rounded& b) {
  const double size_a = std::abs(a.value);
  const double size_b = std::abs(b.value);
  return rounded({a.value * b.value, size_a * b.worst + size_b * a.worst + a.worst * b.worst,
                  size_a * b.bias + size_b * a.bias,
                  std::sqrt(square(size_a * b.noise) + square(size_b * a.noise))});
}

Rounded operator/(const Rounded& a, const Rounded& b) {
  const Rounded inverse = function([](double x) { return 1 / x; }, b, 2.5 * kUlp);
  const double size_a = std::abs(a.value);
  const double size_inverse = std::abs(inverse.value);
  // Each bound combines the errors of both operands. The division adds only its own error, which is
  // in `inverse`.
  return {a.value * inverse.value,
          size_a * inverse.worst + (size_inverse + inverse.worst) * a.worst,
          size_a * inverse.bias + size_inverse * a.bias,
          std::sqrt(square(size_a * inverse.noise) + square(size_inverse * a.noise))};
}

Rounded function(const std::function<double(double)>& f, const Rounded& x, double relative,
                 double absolute) {
  const double value = f(x.value);
  const auto around = [&](double error) {
    if (error == 0) return 0.0;
    return std::max(std::abs(f(x.value + error) - value), std::abs(f(x.value - error) - value));
  };
  const double own = relative * std::abs(value) + absolute;
  return {value, around(x.worst) * (1 + relative) + own, around(x.bias) + own,
          around(kDeviations * x.noise) / kDeviations};
}

Rounded exp_of(const Rounded& x) {
  const double ulps = kExpUlps + kExpUlpsOfSize * std::abs(x.value);
  return function([](double v) { return std::exp(v); }, x, ulps * kUlp, 0x1p-114);
}

Rounded sigmoid_of(const Rounded& x) {
  const auto sigmoid = [](double v) { return 1 / (1 + std::exp(-v)); };
  // The error of exp(-x), as a fraction of 1 + exp(-x), plus the errors of a sum and of a division.
  const double exp_ulps = kExpUlps + kExpUlpsOfSize * std::abs(x.value);
  return function(sigmoid, x, (exp_ulps * sigmoid(-x.value) + 3) * kUlp, 0x1p-114);
}

Rounded silu_of(const Rounded& x) {
  const auto sigmoid = [](double v) { return 1 / (1 + std::exp(-v)); };
  const auto silu = [&](double v) { return v * sigmoid(v); };
  // The error of the exponential and of its rounded argument, plus the errors of a sum, a division
  // and a product.
  const double exp_ulps = kShortExpUlps + std::abs(x.value);
  Rounded y = function(silu, x, (exp_ulps * sigmoid(-x.value) + 4) * kUlp, 1e-32);
  // function() evaluates SiLU only at both ends of the interval of x. Around the minimum of SiLU,
  // the values inside the interval are lower than the values at both ends.
  y.worst += square(std::min(x.worst, 1.0)) / 4;
  return y;
}

void Sum::add(const Rounded& term) {
  ++n_;
  value_ += term.value;
  size_ += std::abs(term.value);
  size2_ += square(term.value);
  worst_ += term.worst;
  // If all terms have the same relative bias, the biases add up with the signs of the terms. If the
  // bias differs from term to term, its signs are practically random.
  lean_ += term.value < 0 ? -term.bias : term.bias;
  noise2_ += square(term.noise) + kEvenVariance * square(term.bias);
}

void Sum::add_products(const WeightRow& w, std::span<const Rounded> x, double factor) {
  // The decoding of w[c] rounds w.roundings times. The product with x[c] and the product with
  // `factor` each round once more.
  const int n = w.roundings + 2;
  const double rounding = worst_of(n);
  n_ += std::ssize(x);
  for (std::size_t c = 0; c < x.size(); ++c) {
    const double size = w.size(c) * std::abs(factor);
    const double size2 = square(factor) * (square(w.value(c) - w.offset(c)) + square(w.offset(c)));
    const double term = w.value(c) * factor * x[c].value;
    const double term_size = size * std::abs(x[c].value);
    const double bias = size * x[c].bias;
    value_ += term;
    size_ += term_size;
    size2_ += size2 * square(x[c].value);
    worst_ += size * x[c].worst + rounding * (term_size + size * x[c].worst);
    lean_ += term < 0 ? -bias : bias;
    noise2_ += size2 * (square(x[c].noise) + n * kRoundingVariance * square(x[c].value)) +
               kEvenVariance * square(bias);
  }
}

Rounded Sum::result() const {
  const auto additions = static_cast<double>(std::max<std::int64_t>(n_ - 1, 0));
  return {value_, worst_ + worst_of(additions) * (size_ + worst_), std::abs(lean_),
          std::sqrt(noise2_ + additions * kRoundingVariance * (size2_ + square(value_)) / 2)};
}

Rounded product(const WeightRow& w, std::span<const Rounded> x) {
  Sum sum;
  sum.add_products(w, x);
  return sum.result();
}

NormedRow normed(std::span<const float> x, std::span<const float> norm, double eps) {
  NormedRow row;
  for (const float value : x) row.x.push_back({static_cast<double>(value)});
  if (norm.empty()) return row;
  Sum squares;
  for (const Rounded& value : row.x) squares.add(value * value);
  const Rounded sum = squares.result();
  const auto n = static_cast<double>(x.size());
  const double mean = sum.value / n + eps;
  // The errors of the division by n and of the sum with eps count half, because the square root
  // halves relative errors. The errors of the square root and of the division count fully.
  constexpr double kScaleUlps = 1.5 + 4.5 + 2.5;
  const auto inverse_root = [](double v) { return 1 / std::sqrt(v); };
  row.scale =
      function(inverse_root, {mean, sum.worst / n, sum.bias / n, sum.noise / n}, kScaleUlps * kUlp);
  // The kernel rounds the product once. The reference rounds once when it stores the row.
  for (std::size_t c = 0; c < x.size(); ++c)
    row.x[c] = rounded({row.x[c].value * static_cast<double>(norm[c])}, 2);
  return row;
}

}  // namespace bitaxon::test
