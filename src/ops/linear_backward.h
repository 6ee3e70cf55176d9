#pragma once

namespace bitaxon {

struct LinearBackwardParams {};

namespace linear_backward_operand {
enum : int { g_y, weight, g_x };
}

}  // namespace bitaxon
