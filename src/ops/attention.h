#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "bitaxon/ops.h"

namespace bitaxon {

struct AttentionParams {
  std::int64_t n_heads = 1;
  std::int64_t n_kv_heads = 1;
  std::int64_t window = 0;  ///< the most positions that a row attends to; 0 for all

  /// The number of positions that a row attends to, if there are `n` positions up to its own.
  std::int64_t most_keys(std::int64_t n) const { return window == 0 ? n : std::min(window, n); }
  /// The first position that the row at `position` attends to.
  std::int64_t first_key(std::int64_t position) const {
    return position + 1 - most_keys(position + 1);
  }
};

namespace attention_operand {
enum : int { q, keys, values, y };
}

/// Checks the arguments that attention and its gradient share. Returns R.
std::int64_t check_attention(std::string_view op, const Tensor& q, const Tensor& keys,
                             const Tensor& values, const AttentionForm& form);
AttentionParams attention_params(const AttentionForm& form);
/// The number of keys that the rows of one segment attend to, summed over its n rows.
std::int64_t keys_seen(const AttentionParams& params, std::int64_t position, std::int64_t n_rows);

}  // namespace bitaxon
