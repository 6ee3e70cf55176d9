#pragma once

namespace bitaxon {

struct MoeGateUpParams {};

namespace moe_gate_up_operand {
enum : int { x, experts, gate, up, gate_rows, up_rows };
}

}  // namespace bitaxon
