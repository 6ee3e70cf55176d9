#pragma once

#include <cstdint>

namespace bitaxon {

struct AttentionParams {
  std::int64_t n_heads = 1;
  std::int64_t n_kv_heads = 1;
  std::int64_t window = 1;  ///< the most positions that a row attends to
};

namespace attention_operand {
enum : int { q, keys, values, y };
}

}  // namespace bitaxon
