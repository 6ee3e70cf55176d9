#pragma once

#include "ops/adapter.h"

namespace bitaxon {

namespace dora_norms_operand {
enum : int { weight, parameters, norms };
}

}  // namespace bitaxon
