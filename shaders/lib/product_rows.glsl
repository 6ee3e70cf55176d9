// The rows of a product's result and their sources. `rows` is a constant of params/product_rows.h.
#ifndef BX_PRODUCT_ROWS_GLSL
#define BX_PRODUCT_ROWS_GLSL

#include "lib/step.glsl"
#include "params/product_rows.h"

uint valid_rows(const uint rows) {
  return rows == BX_ROWS_OF_TOKENS ? step_.n_rows : step_.n_outputs;
}

// The argument row that gives result row `row`, which must be valid.
uint source_of(const uint rows, const uint row) {
  return rows == BX_ROWS_SELECT_OUTPUTS ? step_.output_rows[row] : row;
}

#endif
