#pragma once

#include <cstdint>

namespace bitaxon {

struct MoeRouteBackwardParams {
  float eps = 0;
  std::uint32_t renormalize = 0;
};

/// g_normed or g_gates may be absent. The gradient is then that of zeros.
namespace moe_route_backward_operand {
enum : int { x, norm, gate, shared_gate, normed, experts, gates, g_normed, g_gates, g_x };
}

}  // namespace bitaxon
