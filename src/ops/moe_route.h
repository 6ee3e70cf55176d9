#pragma once

#include <cstdint>

namespace bitaxon {

struct MoeRouteParams {
  float eps = 0;
  std::int32_t top_k = 1;
  std::uint32_t renormalize = 0;  ///< 1: the gates of the chosen experts are divided by their sum
};

namespace moe_route_operand {
enum : int { x, norm, gate, shared_gate, normed, experts, gates };
}

}  // namespace bitaxon
