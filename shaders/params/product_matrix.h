// product_matrix uses the parameter block of product_tile. Its specialization constants are those of
// params/matrix_tile.h and these constants:
#ifndef BX_PARAMS_PRODUCT_MATRIX_H
#define BX_PARAMS_PRODUCT_MATRIX_H
#include "params/matrix_tile.h"
#include "params/product_tile.h"

#define BX_PRODUCT_MATRIX_FORM 1
#define BX_PRODUCT_MATRIX_OTHER 2   // see params/product_end.h
#define BX_PRODUCT_MATRIX_SOURCE 3  // see params/product_rows.h
#define BX_PRODUCT_MATRIX_HAS_BIAS 4

#endif
