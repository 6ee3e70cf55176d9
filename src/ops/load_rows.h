#pragma once

#include "bitaxon/ops.h"

namespace bitaxon {

struct LoadRowsParams {
  RowSelect select = RowSelect::all;
};

namespace load_rows_operand {
enum : int { store, y };
}

}  // namespace bitaxon
