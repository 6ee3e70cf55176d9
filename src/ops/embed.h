#pragma once

#include <cstdint>

namespace bitaxon {

struct EmbedParams {
  std::int64_t n_rows = 0;
};

namespace embed_operand {
enum : int { table, seen, next_token, y };
}

}  // namespace bitaxon
