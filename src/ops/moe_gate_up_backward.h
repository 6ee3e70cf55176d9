#pragma once

namespace bitaxon {

struct MoeGateUpBackwardParams {};

namespace moe_gate_up_backward_operand {
enum : int { g_gate, g_up, experts, gate, up, g_x };
}

}  // namespace bitaxon
