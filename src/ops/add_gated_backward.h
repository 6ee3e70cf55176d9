#pragma once

#include "ops/add_gated.h"

namespace bitaxon {

namespace add_gated_backward_operand {
enum : int { b, gates, g_y, g_b, g_gates };
}

}  // namespace bitaxon
