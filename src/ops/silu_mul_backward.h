#pragma once

#include "ops/silu_mul.h"

namespace bitaxon {

namespace silu_mul_backward_operand {
enum : int { gate, up, g_y, g_gate, g_up };
}

}  // namespace bitaxon
