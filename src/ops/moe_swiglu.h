#pragma once

namespace bitaxon {

struct MoeSwigluParams {};

namespace moe_swiglu_operand {
enum : int { x, experts, gate, up, shared_gate, shared_up, y };
}

}  // namespace bitaxon
