#pragma once

namespace bitaxon {

struct MoeDownParams {};

namespace moe_down_operand {
enum : int { act, experts, gates, down, shared_down, residual, y };
}

}  // namespace bitaxon
