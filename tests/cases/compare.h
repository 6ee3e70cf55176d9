// Compares the results of a backend with those of the reference.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace bitaxon::test {

/// How far apart two float results may be. The tolerance of an element is
///   allowed + relative * max(|expected|, root mean square of its row) + 2^-126
/// where `allowed` is given per element: the error of float32 arithmetic in any order
/// (cases/rounded.h). `relative` is for arithmetic with less precision than float32. The error of
/// such arithmetic is proportional to the terms, and the root mean square of the row estimates the
/// size of the terms. The last summand lets a device flush subnormal numbers.
struct Tolerance {
  double relative = 0;
  std::string reason;         ///< the arithmetic that explains the tolerance
  bool nan_expected = false;  ///< NaN agrees with NaN; otherwise any NaN is a failure
};

struct Comparison {
  double largest = 0;   ///< largest error, as a fraction of the tolerance
  std::string problem;  ///< the first mismatch, with the elements around it; empty if there is none
};

/// `row_length` is the number of elements of the last axis. `allowed` has one value per element; if
/// it is empty, all are 0. `halves`: results are stored as float16, so a value near the midpoint of
/// two float16 numbers may be rounded to either number.
Comparison compare(std::span<const float> actual, std::span<const float> expected,
                   std::int64_t row_length, const Tolerance& tolerance,
                   std::span<const double> allowed = {}, bool halves = false);
/// Integers must be equal.
Comparison compare(std::span<const std::int32_t> actual, std::span<const std::int32_t> expected);

}  // namespace bitaxon::test
