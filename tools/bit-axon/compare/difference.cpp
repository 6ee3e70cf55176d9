#include "compare/difference.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/assert.h"

namespace bitaxon::tool {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

double relative(double difference_squared, double a_squared) {
  return difference_squared == 0 ? 0 : std::sqrt(difference_squared / a_squared);
}

}  // namespace

void Difference::add(std::span<const float> a, std::span<const float> b, std::int64_t n_rows) {
  BX_ASSERT(a.size() == b.size() && n_rows > 0, "two tensors have the same rows");
  const std::size_t n_columns = a.size() / static_cast<std::size_t>(n_rows);
  for (std::size_t at = 0; at < a.size(); at += n_columns)
    add_row(a.subspan(at, n_columns), b.subspan(at, n_columns));
}

void Difference::add_row(std::span<const float> a, std::span<const float> b) {
  double difference_squared = 0;
  double a_squared = 0;
  std::int64_t n_not_finite = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!std::isfinite(a[i]) || !std::isfinite(b[i])) {
      ++n_not_finite;
      continue;
    }
    const double difference = static_cast<double>(b[i]) - static_cast<double>(a[i]);
    difference_squared += difference * difference;
    a_squared += static_cast<double>(a[i]) * static_cast<double>(a[i]);
    largest_ = std::max(largest_, std::abs(difference));
  }
  difference_squared_ += difference_squared;
  a_squared_ += a_squared;
  n_not_finite_ += n_not_finite;
  const double error = n_not_finite > 0 ? kNaN : relative(difference_squared, a_squared);
  // The first row with a number that is not finite stays the worst.
  if (!std::isnan(worst_relative_l2_) && !(error <= worst_relative_l2_)) {
    worst_relative_l2_ = error;
    worst_row_ = n_rows_;
  }
  ++n_rows_;
}

double Difference::relative_l2() const {
  return n_not_finite_ > 0 ? kNaN : relative(difference_squared_, a_squared_);
}

double Difference::largest() const { return n_not_finite_ > 0 ? kNaN : largest_; }

std::string Difference::problem(const Tolerance& tolerance) const {
  if (n_not_finite_ > 0)
    return fmt::format("expected finite numbers, got {} that are not, first in row {}",
                       n_not_finite_, worst_row_);
  if (!(relative_l2() <= tolerance.whole))
    return fmt::format("relative L2 over all rows: expected at most {:.2e}, got {:.2e}",
                       tolerance.whole, relative_l2());
  if (!(worst_relative_l2_ <= tolerance.row))
    return fmt::format("relative L2 of row {}: expected at most {:.2e}, got {:.2e}", worst_row_,
                       tolerance.row, worst_relative_l2_);
  return {};
}

std::int32_t likeliest(std::span<const float> logits) {
  if (std::any_of(logits.begin(), logits.end(), [](float x) { return std::isnan(x); })) return -1;
  const auto largest = std::max_element(logits.begin(), logits.end());
  if (largest == logits.end() || !std::isfinite(*largest)) return -1;
  return static_cast<std::int32_t>(largest - logits.begin());
}

Parting parting_of(std::int32_t a_token, std::int32_t b_token, std::span<const float> a,
                   std::span<const float> b, const Tolerance& tolerance) {
  Parting parting;
  parting.a_token = a_token;
  parting.b_token = b_token;
  if (a_token < 0 || b_token < 0) {
    parting.a_gap = parting.b_gap = parting.near_tie_bound = parting.relative_l2 = kNaN;
    return parting;
  }
  const auto gap = [](std::span<const float> logits, std::int32_t token, std::int32_t other) {
    return static_cast<double>(logits[static_cast<std::size_t>(token)]) -
           static_cast<double>(logits[static_cast<std::size_t>(other)]);
  };
  parting.a_gap = gap(a, a_token, b_token);
  parting.b_gap = gap(b, b_token, a_token);
  Difference row;
  row.add(a, b, 1);
  parting.relative_l2 = row.relative_l2();
  double a_squared = 0;
  for (const float x : a) a_squared += static_cast<double>(x) * static_cast<double>(x);
  parting.near_tie_bound = 2 * tolerance.row * std::sqrt(a_squared / static_cast<double>(a.size()));
  parting.is_near_tie = parting.a_gap <= parting.near_tie_bound &&
                        parting.b_gap <= parting.near_tie_bound &&
                        parting.relative_l2 <= tolerance.row;
  return parting;
}

}  // namespace bitaxon::tool
