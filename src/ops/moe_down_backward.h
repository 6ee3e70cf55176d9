#pragma once

namespace bitaxon {

struct MoeDownBackwardParams {};

namespace moe_down_backward_operand {
enum : int { act, experts, gates, down, g_y, g_act, g_gates };
}

}  // namespace bitaxon
