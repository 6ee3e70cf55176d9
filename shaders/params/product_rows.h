// Values of the specialization constant SOURCE of product shaders. The value says which rows the
// result has, and which argument row each of them is computed from.
#ifndef BX_PARAMS_PRODUCT_ROWS_H
#define BX_PARAMS_PRODUCT_ROWS_H

#define BX_ROWS_OF_TOKENS 0u       // one row per row of the step; row r reads argument row r
#define BX_ROWS_OF_OUTPUTS 1u      // one row per output of the step; row o reads argument row o
#define BX_ROWS_SELECT_OUTPUTS 2u  // one row per output; row o reads output o's row of the step

#endif
