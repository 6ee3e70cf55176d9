#include "cases/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace bitaxon::test {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Describes the mismatch at index `at`, such as "index 7: 1.5 instead of 2.5; around it 1 [1.5] 3,
/// expected 1 [2.5] 3".
template <class T>
std::string describe(std::span<const T> actual, std::span<const T> expected, std::size_t at) {
  const auto around = [&](std::span<const T> values) {
    std::string text;
    const std::size_t end = std::min(values.size(), at + 3);
    for (std::size_t i = at < 2 ? 0 : at - 2; i < end; ++i)
      text += i == at ? fmt::format(" [{}]", values[i]) : fmt::format(" {}", values[i]);
    return text;
  };
  return fmt::format("index {}: {} instead of {}; around it{}, expected{}", at, actual[at],
                     expected[at], around(actual), around(expected));
}

/// The root mean square of a row. Infinities and NaN count as 0, because they say nothing about the
/// size of the other elements.
double root_mean_square(std::span<const float> row) {
  double sum = 0;
  for (float value : row)
    if (std::isfinite(value)) sum += static_cast<double>(value) * static_cast<double>(value);
  return std::sqrt(sum / static_cast<double>(std::max<std::size_t>(row.size(), 1)));
}

/// An upper bound of the distance between adjacent float16 numbers of this magnitude.
double half_step(double magnitude) { return 0x1p-10 * std::max(magnitude, 0x1p-14); }

double error_of(float actual, float expected, double unit, bool nan_expected) {
  if (std::isnan(actual) || std::isnan(expected))
    return nan_expected && std::isnan(actual) && std::isnan(expected) ? 0 : kInfinity;
  if (std::isinf(actual) || std::isinf(expected)) return actual == expected ? 0 : kInfinity;
  const double difference = std::abs(static_cast<double>(actual) - static_cast<double>(expected));
  if (difference == 0) return 0;
  return std::isfinite(unit) ? difference / unit : kInfinity;
}

}  // namespace

Comparison compare(std::span<const float> actual, std::span<const float> expected,
                   std::int64_t row_length, const Tolerance& tolerance,
                   std::span<const double> allowed, bool halves) {
  Comparison result;
  if (actual.size() != expected.size()) {
    result.problem = fmt::format("{} elements instead of {}", actual.size(), expected.size());
    result.largest = kInfinity;
    return result;
  }
  if (!allowed.empty() && allowed.size() != expected.size()) {
    result.problem =
        fmt::format("{} allowed errors instead of {}", allowed.size(), expected.size());
    result.largest = kInfinity;
    return result;
  }
  const auto cols = static_cast<std::size_t>(std::max<std::int64_t>(row_length, 1));
  std::size_t n_wrong = 0;
  double row_size = 0;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    if (i % cols == 0)
      row_size = root_mean_square(expected.subspan(i, std::min(cols, expected.size() - i)));
    const double magnitude = std::abs(static_cast<double>(expected[i]));
    const double unit = (allowed.empty() ? 0 : allowed[i]) +
                        tolerance.relative * std::max(magnitude, row_size) +
                        (halves ? half_step(magnitude) : 0) + 0x1p-126;
    const double error = error_of(actual[i], expected[i], unit, tolerance.nan_expected);
    result.largest = std::max(result.largest, error);
    if (error <= 1) continue;
    if (n_wrong++ == 0)
      result.problem = fmt::format("{} (row {}, column {}): error {:.3g}",
                                   describe(actual, expected, i), i / cols, i % cols, error);
  }
  if (n_wrong > 0)
    result.problem = fmt::format(
        "{} of {} elements exceed the tolerance ({}), by a factor of up to {:.3g}; the first: {}",
        n_wrong, actual.size(), tolerance.reason, result.largest, result.problem);
  return result;
}

Comparison compare(std::span<const std::int32_t> actual, std::span<const std::int32_t> expected) {
  Comparison result;
  if (std::ranges::equal(actual, expected)) return result;
  result.largest = kInfinity;
  if (actual.size() != expected.size()) {
    result.problem = fmt::format("{} elements instead of {}", actual.size(), expected.size());
    return result;
  }
  const auto at = std::ranges::mismatch(actual, expected).in1 - actual.begin();
  result.problem = describe(actual, expected, static_cast<std::size_t>(at));
  return result;
}

}  // namespace bitaxon::test
