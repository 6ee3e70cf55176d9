// Comparing what a backend computed with what the reference did.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace bitaxon::test {

/// How far apart two float results may be. An element's unit is
///   relative * max(|expected|, root mean square of its row) + 2^-126
/// The rounding of a sum is proportional to its terms, of which the row's size tells, not the sum's
/// own value; the last term lets a device flush subnormal numbers.
struct Tolerance {
  double relative = 0;
  std::string reason;         ///< the arithmetic it follows from
  bool nan_expected = false;  ///< NaN agrees with NaN; otherwise any NaN is a failure
};

struct Comparison {
  double largest = 0;   ///< error, in units of the tolerance
  std::string problem;  ///< the first mismatch, with its neighbours; empty: they agree
};

/// row_length: elements of the last axis. step: what is added to each unit as a multiple of
/// |expected|, for values stored in fewer bits than they were computed in.
Comparison compare(std::span<const float> actual, std::span<const float> expected,
                   std::int64_t row_length, const Tolerance& tolerance, double step = 0);
/// Exact.
Comparison compare(std::span<const std::int32_t> actual, std::span<const std::int32_t> expected);

}  // namespace bitaxon::test
