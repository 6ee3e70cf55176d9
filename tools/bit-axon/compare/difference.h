// Measures how much the numbers differ that two devices compute for the same rows.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace bitaxon::tool {

/// Bounds on the relative L2 difference: `whole` for all rows together, `row` for each single row.
struct Tolerance {
  double whole = 0;
  double row = 0;

  /// exact() has the bounds for two exact devices. fast() has the bounds if at least one device is
  /// fast. The bound of a row is a fixed multiple of `whole`.
  static Tolerance exact(double whole = 5e-5) { return {whole, 4 * whole}; }
  static Tolerance fast(double whole = 1e-2) { return {whole, 3 * whole}; }
};

/// The difference b - a of two tensors with the same rows. The rows arrive in pieces of any size,
/// and only sums are kept. A number that is not finite, in either tensor, makes every measure NaN.
/// NaN is outside every tolerance.
class Difference {
 public:
  /// Adds `n_rows` rows of both tensors, which follow the rows of the previous call.
  void add(std::span<const float> a, std::span<const float> b, std::int64_t n_rows);

  std::int64_t n_rows() const { return n_rows_; }
  /// ||b - a|| / ||a|| over all rows. 0 if all rows are equal, infinite if only a is 0.
  double relative_l2() const;
  /// The relative L2 of the worst row, and the index of that row. If several rows are equally bad,
  /// the first of them.
  double worst_row_relative_l2() const { return worst_relative_l2_; }
  std::int64_t worst_row() const { return worst_row_; }
  /// The largest |b - a| of two numbers.
  double largest() const;
  /// The number of elements that are not finite in a or in b.
  std::int64_t n_not_finite() const { return n_not_finite_; }

  /// Says which measure is beyond the tolerance: "relative L2 of row 7: expected ..., got ...".
  /// Empty when all measures are within the tolerance.
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

/// The token that greedy sampling takes: the token with the largest logit, and the lowest id on a
/// tie. -1 if a logit is NaN or the largest logit is not finite.
std::int32_t likeliest(std::span<const float> logits);

/// Describes the first token where the greedy texts of two devices differ.
///
/// Let d be the difference of the two rows of logits. Then a_gap + b_gap = d[b_token] - d[a_token]:
/// the gap between the two candidates equals the difference of the devices in these two logits. A
/// row within its tolerance is off by row tolerance * ||a|| / sqrt(V) per logit (root mean square).
/// At a near tie two such errors can close the gap on both devices.
struct Parting {
  std::int32_t a_token = -1;  ///< -1 if the logits were not finite
  std::int32_t b_token = -1;
  double a_gap = 0;  ///< on device a, the logit of a_token minus the logit of b_token
  double b_gap = 0;  ///< on device b, the logit of b_token minus the logit of a_token
  double near_tie_bound = 0;
  double relative_l2 = 0;  ///< relative L2 difference of the two rows of logits
  /// Whether both gaps are within near_tie_bound and relative_l2 is within the row's tolerance.
  bool is_near_tie = false;
};

/// `a` and `b` are the rows of logits on the two devices. With a token of -1 there is no near tie.
Parting parting_of(std::int32_t a_token, std::int32_t b_token, std::span<const float> a,
                   std::span<const float> b, const Tolerance& tolerance);

}  // namespace bitaxon::tool
