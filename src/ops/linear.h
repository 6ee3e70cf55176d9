#pragma once

#include "bitaxon/ops.h"

namespace bitaxon {

struct LinearParams {
  float eps = 0;  ///< epsilon of the norm; unused without a norm
  RowSelect select = RowSelect::all;
};

namespace linear_operand {
enum : int { x, weight, norm, bias, residual, y };
}

}  // namespace bitaxon
