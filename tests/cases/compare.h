// Comparing what a backend computed with what the reference did.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace bitaxon::test {

/// How far apart two float results may be. An element's unit is
///   allowed + relative * max(|expected|, root mean square of its row) + 2^-126
/// where `allowed` is given for each element: what float32 arithmetic in any order may make of it
/// (cases/rounded.h). `relative` is for what is computed in less than float32, where the error is
/// proportional to the terms, of which the row's size tells. The last summand lets a device flush
/// subnormal numbers.
struct Tolerance {
  double relative = 0;
  std::string reason;         ///< the arithmetic it follows from
  bool nan_expected = false;  ///< NaN agrees with NaN; otherwise any NaN is a failure
};

struct Comparison {
  double largest = 0;   ///< error, in units of the tolerance
  std::string problem;  ///< the first mismatch, with its neighbours; empty: they agree
};

/// row_length: elements of the last axis. allowed: of each element; empty: 0. halves: stored as
/// float16, so that a value near the middle of two may have become either.
Comparison compare(std::span<const float> actual, std::span<const float> expected,
                   std::int64_t row_length, const Tolerance& tolerance,
                   std::span<const double> allowed = {}, bool halves = false);
/// Exact.
Comparison compare(std::span<const std::int32_t> actual, std::span<const std::int32_t> expected);

}  // namespace bitaxon::test
