#pragma once

#include "bitaxon/training_ops.h"

namespace bitaxon {

namespace dropout_operand {
enum : int { x, masks, y };
}

}  // namespace bitaxon
