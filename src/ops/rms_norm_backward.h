#pragma once

#include "ops/rms_norm.h"

namespace bitaxon {

namespace rms_norm_backward_operand {
enum : int { x, norm, g_y, g_x };
}

}  // namespace bitaxon
