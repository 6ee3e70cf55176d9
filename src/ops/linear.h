#pragma once

#include "bitaxon/ops.h"

namespace bitaxon {

struct LinearParams {
  float eps = 0;  ///< of the norm, if there is one
  RowSelect select = RowSelect::all;
};

namespace linear_operand {
enum : int { x, weight, norm, residual, y };
}

}  // namespace bitaxon
