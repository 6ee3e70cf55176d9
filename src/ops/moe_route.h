#pragma once

#include <cstdint>

namespace bitaxon {

struct MoeRouteParams {
  float eps = 0;
  std::int32_t top_k = 1;
};

namespace moe_route_operand {
enum : int { x, norm, gate, shared_gate, normed, experts, gates };
}

}  // namespace bitaxon
