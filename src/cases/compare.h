// Compares the results of a backend with those of the reference.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace bitaxon::test {

/// The allowed difference between two float results. For one element it is
///   allowed + relative * max(|expected|, root mean square of its row) + 2^-126
/// `allowed` is an argument of compare(): for each element, the error of float32 arithmetic in any
/// order (cases/rounded.h). `relative` is for arithmetic that is less precise than float32. Its
/// error is proportional to the size of the terms, and the root mean square of the row estimates
/// this size. The last summand lets a device flush subnormal numbers to 0.
struct Tolerance {
  double relative = 0;
  std::string reason;         ///< the arithmetic that explains the tolerance
  bool nan_expected = false;  ///< a NaN agrees with a NaN; if false, any NaN is a failure
};

struct Comparison {
  double largest = 0;   ///< largest error of an element, as a fraction of its tolerance
  std::string problem;  ///< the first mismatch and its neighbors; empty if all elements agree
};

/// Compares float results. `row_length` is the number of elements of the last axis. `allowed` has
/// one value for each element. If `allowed` is empty, all its values are 0. `halves` means that the
/// results are stored as float16. A value near the midpoint of two float16 numbers may then be
/// rounded to either number.
Comparison compare(std::span<const float> actual, std::span<const float> expected,
                   std::int64_t row_length, const Tolerance& tolerance,
                   std::span<const double> allowed = {}, bool halves = false);
/// Compares integer results, which must be equal.
Comparison compare(std::span<const std::int32_t> actual, std::span<const std::int32_t> expected);

}  // namespace bitaxon::test
