// Measures how far apart two devices' numbers for the same rows are.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace bitaxon::tool {

/// Bounds on relative L2: over all rows together, and of every single row.
struct Tolerance {
  double whole = 0;
  double row = 0;

  /// What two devices may differ by, exact or when either is fast. `whole` replaces that bound, and
  /// the one of rows stays as many times larger as it was.
  static Tolerance exact(double whole = 5e-5) { return {whole, 4 * whole}; }
  static Tolerance fast(double whole = 1e-2) { return {whole, 3 * whole}; }
};

/// The difference b - a of two tensors with the same rows, which come in pieces of any size; only
/// sums are kept. A number that is not finite, on either side, makes every measure NaN, and NaN is
/// within no tolerance.
class Difference {
 public:
  /// Both hold `n_rows` rows, which follow those of the call before.
  void add(std::span<const float> a, std::span<const float> b, std::int64_t n_rows);

  std::int64_t n_rows() const { return n_rows_; }
  /// ||b - a|| / ||a|| over all rows; 0 for equal ones, infinite when only a is 0.
  double relative_l2() const;
  /// The same of the row where it is largest, and which that is: the first of such rows.
  double worst_row_relative_l2() const { return worst_relative_l2_; }
  std::int64_t worst_row() const { return worst_row_; }
  /// The largest |b - a| of two numbers.
  double largest() const;
  /// Numbers that are not finite on a or on b, a pair counted once.
  std::int64_t n_not_finite() const { return n_not_finite_; }

  /// What is beyond the tolerance: "relative L2 of row 7: expected ..., got ..."; empty when
  /// nothing is.
  std::string problem(const Tolerance& tolerance) const;

 private:
  void add_row(std::span<const float> a, std::span<const float> b);

  std::int64_t n_rows_ = 0;
  double difference_squared_ = 0;
  double a_squared_ = 0;
  double worst_relative_l2_ = 0;
  std::int64_t worst_row_ = 0;
  double largest_ = 0;
  std::int64_t n_not_finite_ = 0;
};

/// The token that greedy sampling takes: the lowest of the likeliest; -1 where there is none, as a
/// logit is NaN or the largest is not finite.
std::int32_t likeliest(std::span<const float> logits);

/// Where two greedy continuations part: the same tokens up to here, another one on each device.
///
/// With d the difference of the two rows of logits, a_gap + b_gap = d[b_token] - d[a_token]: what
/// two candidates are apart is what the devices are apart in these two logits. A row within its
/// tolerance is off by row tolerance * ||a|| / sqrt(V) per logit (root mean square), and a near tie
/// is a gap that two such errors can close, on both devices.
struct Parting {
  std::int32_t a_token = -1;  ///< -1: the logits were not finite
  std::int32_t b_token = -1;
  double a_gap = 0;  ///< on a: its token's logit less that of b's
  double b_gap = 0;  ///< on b: its token's logit less that of a's
  double near_tie_bound = 0;
  double relative_l2 = 0;  ///< of the row of logits
  /// The gaps are within the bound, and the row within its tolerance.
  bool is_near_tie = false;
};

/// Both spans are the row of logits on their device. Tokens of -1 are no near tie.
Parting parting_of(std::int32_t a_token, std::int32_t b_token, std::span<const float> a,
                   std::span<const float> b, const Tolerance& tolerance);

}  // namespace bitaxon::tool
