// Measures how far the numbers of two devices for the same rows are apart.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace bitaxon::tool {

/// Bounds on relative L2: over all rows together, and of every single row.
struct Tolerance {
  double whole = 0;
  double row = 0;

  /// The bounds for two exact devices, and for two devices one of which is fast. `whole` replaces
  /// the bound over all rows. The bound of a row is always the same multiple of it.
  static Tolerance exact(double whole = 5e-5) { return {whole, 4 * whole}; }
  static Tolerance fast(double whole = 1e-2) { return {whole, 3 * whole}; }
};

/// The difference b - a of two tensors with the same rows. The rows arrive in pieces of any size,
/// and only sums are kept. A number that is not finite, on either side, makes every measure NaN,
/// and NaN is within no tolerance.
class Difference {
 public:
  /// Adds `n_rows` rows of both tensors, which follow the rows of the previous call.
  void add(std::span<const float> a, std::span<const float> b, std::int64_t n_rows);

  std::int64_t n_rows() const { return n_rows_; }
  /// ||b - a|| / ||a|| over all rows; 0 for equal rows, infinite when only a is 0.
  double relative_l2() const;
  /// The relative L2 of the worst row, and the index of that row (the first of equal ones).
  double worst_row_relative_l2() const { return worst_relative_l2_; }
  std::int64_t worst_row() const { return worst_row_; }
  /// The largest |b - a| of two numbers.
  double largest() const;
  /// The number of elements that are not finite on a or on b.
  std::int64_t n_not_finite() const { return n_not_finite_; }

  /// Says what is beyond the tolerance: "relative L2 of row 7: expected ..., got ...". Empty when
  /// everything is within it.
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

/// The token that greedy sampling takes: the lowest index of the largest logit. -1 if a logit is
/// NaN or the largest is not finite.
std::int32_t likeliest(std::span<const float> logits);

/// The first token in which two greedy continuations differ; all tokens before it are the same.
///
/// Let d be the difference of the two rows of logits. Then a_gap + b_gap = d[b_token] - d[a_token]:
/// the gap between the two candidates equals the difference of the devices in these two logits. A
/// row within its tolerance is off by row tolerance * ||a|| / sqrt(V) per logit (root mean square).
/// At a near tie two such errors can close the gap on both devices.
struct Parting {
  std::int32_t a_token = -1;  ///< -1: the logits were not finite
  std::int32_t b_token = -1;
  double a_gap = 0;  ///< on a: logit of a_token minus logit of b_token
  double b_gap = 0;  ///< on b: logit of b_token minus logit of a_token
  double near_tie_bound = 0;
  double relative_l2 = 0;  ///< of the two rows of logits
  /// The gaps are within the bound, and the row within its tolerance.
  bool is_near_tie = false;
};

/// `a` and `b` are the rows of logits on the two devices. With a token of -1 there is no near tie.
Parting parting_of(std::int32_t a_token, std::int32_t b_token, std::span<const float> a,
                   std::span<const float> b, const Tolerance& tolerance);

}  // namespace bitaxon::tool
