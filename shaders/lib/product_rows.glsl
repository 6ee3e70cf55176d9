// Maps each row of a product's result to the argument row that it is computed from. The parameter
// `rows` of the functions is one of the BX_ROWS_ constants of params/product_rows.h.
#ifndef BX_PRODUCT_ROWS_GLSL
#define BX_PRODUCT_ROWS_GLSL

#include "lib/step.glsl"
#include "params/product_rows.h"

uint valid_rows(const uint rows) {
  return rows == BX_ROWS_OF_TOKENS ? step_.n_rows : step_.n_outputs;
}

// The argument row from which result row `row` is computed. `row` must be a valid row.
uint source_of(const uint rows, const uint row) {
  return rows == BX_ROWS_SELECT_OUTPUTS ? step_.output_rows[row] : row;
}

#endif
