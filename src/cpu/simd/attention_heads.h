// The inputs and results of the vectorized attention. It computes a few rows of some heads at a
// time.
#pragma once

#include <algorithm>
#include <cstdint>

namespace bitaxon::cpu {

/// The largest number of rows of one work item. Each key and value is loaded once for all of these
/// rows.
inline constexpr int kItemRows = 4;
/// The number of positions whose keys or values are processed together.
inline constexpr int kGroup = 4;
/// The number of positions of one block. Blocks begin at multiples of kKeys, and the results of a
/// row's blocks are merged in order. So the result of a row does not depend on other rows, or on
/// which thread computes which block.
inline constexpr std::int64_t kKeys = 256;

/// The partial results of some heads of a few rows. Each head and row has the sum of the weighted
/// values, the largest score and the sum of the weights. A weight is exp(score - largest score).
struct Sums {
  float* values;   ///< [heads, kItemRows, padded]
  float* largest;  ///< [heads, kItemRows]
  float* totals;   ///< [heads, kItemRows]
};

/// Some heads of a few rows. The rows are at consecutive positions, and the heads are adjacent in
/// every key. "Ring" means a ring buffer of the KV cache.
struct Heads {
  const float* q;    ///< the first head of the first row; rows are d_model apart, as in y
  const void* keys;  ///< the first head in row 0 of the ring
  const void* values;
  float* y;
  float* scaled;          ///< scratch [heads, kItemRows, padded]: q / sqrt(head_dim)
  float* scores;          ///< scratch [heads, kItemRows, kKeys]
  std::int64_t position;  ///< the position of the first row
  int n_rows, n_heads;
  std::int64_t window, capacity, d_model, head_dim, padded;

  std::int64_t last() const { return position + n_rows - 1; }
  /// The first position that a row attends to.
  std::int64_t first_of(int row) const {
    return std::max<std::int64_t>(0, position + row - window + 1);
  }
};

}  // namespace bitaxon::cpu
