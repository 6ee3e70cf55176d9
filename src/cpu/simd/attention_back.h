// The inputs and results of the vectorized gradient of attention. It computes one head of keys and
// values of one segment, with all heads of queries that use it. A query is one head of one row.
#pragma once

#include <cstdint>

#include "core/align.h"

namespace bitaxon::cpu {

/// The positions that are computed together. Blocks begin at multiples of kBackKeys, so the result
/// does not depend on how rows are grouped into steps.
inline constexpr std::int64_t kBackKeys = 64;

/// The memory of a head. Rows of queries, keys and values are padded with zeros to a multiple of 16
/// elements.
struct BackHead {
  std::int64_t n_queries = 0;
  std::int64_t padded = 0;
  float scale = 0;           ///< 1 / sqrt(head_dim)
  float* q = nullptr;        ///< [queries, padded]
  float* g_y = nullptr;      ///< [queries, padded]
  float* g_q = nullptr;      ///< [queries, padded]: sums so far
  float* along = nullptr;    ///< [queries]: dot(g_y, y)
  float* largest = nullptr;  ///< [queries]: the largest score
  float* total = nullptr;    ///< [queries]: the sum of exp(score - largest)
  // One block of keys:
  float* keys = nullptr;             ///< [kBackKeys, padded]
  float* values = nullptr;           ///< [kBackKeys, padded]
  float* turned_keys = nullptr;      ///< [padded, kBackKeys]
  float* turned_values = nullptr;    ///< [padded, kBackKeys]
  float* weights = nullptr;          ///< [queries, kBackKeys]: scores, then P
  float* score_gradients = nullptr;  ///< [queries, kBackKeys]: dS
  float* g_keys = nullptr;           ///< [kBackKeys, padded]
  float* g_values = nullptr;         ///< [kBackKeys, padded]
};

/// The queries [first, end) that attend to a block, and for each of them the range of keys.
struct BackRange {
  std::int64_t first = 0, end = 0;
  const std::int32_t* begin_key = nullptr;  ///< [queries]: index in the block
  const std::int32_t* end_key = nullptr;
};

}  // namespace bitaxon::cpu
