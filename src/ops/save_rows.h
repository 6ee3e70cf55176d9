#pragma once

namespace bitaxon {

struct SaveRowsParams {};

namespace save_rows_operand {
enum : int { x, store };
}

}  // namespace bitaxon
