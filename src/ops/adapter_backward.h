#pragma once

#include "ops/adapter.h"

namespace bitaxon {

namespace adapter_backward_operand {
/// g_base exists only for DoRA.
enum : int { x, base, parameters, norms, g_y, gradients, g_x, g_base };
}  // namespace adapter_backward_operand

}  // namespace bitaxon
