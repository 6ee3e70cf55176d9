// The inputs and results of the vectorized attention. It computes a few rows of some heads at a
// time.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cpu/kernel.h"
#include "ops/attention.h"

namespace bitaxon::cpu {

/// The largest number of rows of one work item. Each key and value is loaded once for all of these
/// rows.
inline constexpr int kItemRows = 4;
/// The number of positions whose keys or values are processed together.
inline constexpr int kGroup = 4;
/// The number of queries whose sums are kept in registers.
inline constexpr int kQueries = 4;
/// The number of positions of one block. Blocks begin at multiples of kKeys, and the results of a
/// row's blocks are merged in order. So the result of a row does not depend on other rows, or on
/// which thread computes which block.
inline constexpr std::int64_t kKeys = 256;

/// The partial results of some heads of a few rows. Each query has the sum of the weighted values,
/// the largest score and the sum of the weights. A weight is exp(score - largest score).
struct Sums {
  float* values;   ///< [heads, item_queries, padded]
  float* largest;  ///< [heads, item_queries]
  float* totals;   ///< [heads, item_queries]
};

/// Some adjacent heads of keys and values, and the queries of a few rows that use them. The rows
/// are at consecutive positions. Each head of keys serves n_shared heads of queries, so a row has
/// n_shared queries for it. Query i * n_shared + s of a head belongs to row i.
struct Heads {
  const float* q;    ///< the first query of the first row; rows are q_width apart, as in y
  const void* keys;  ///< the first head in the first row of all pages
  const void* values;
  PageRows key_rows, value_rows;
  float* y;
  float* scaled;          ///< scratch [heads, item_queries, padded]: q / sqrt(head_dim)
  float* scores;          ///< scratch [heads, item_queries, kKeys]
  std::int64_t position;  ///< the position of the first row
  int n_rows, n_heads, n_shared;
  AttentionParams params;
  std::int64_t q_width, head_dim, padded;

  int n_queries() const { return n_rows * n_shared; }
  std::int64_t last() const { return position + n_rows - 1; }
  /// The first position that a row attends to.
  std::int64_t first_of(int row) const { return params.first_key(position + row); }
  /// The place of a query in the scratch and in the sums.
  std::int64_t place(int head, int query) const {
    return std::int64_t{head} * kItemRows * n_shared + query;
  }
  /// The offset of a query in q and y.
  std::int64_t offset(int head, int query) const {
    return query / n_shared * q_width + (head * n_shared + query % n_shared) * head_dim;
  }
};

}  // namespace bitaxon::cpu
