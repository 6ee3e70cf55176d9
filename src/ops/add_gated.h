#pragma once

#include <cstdint>

namespace bitaxon {

struct AddGatedParams {
  std::int64_t column = 0;
};

namespace add_gated_operand {
enum : int { x, b, gates, y };
}

}  // namespace bitaxon
