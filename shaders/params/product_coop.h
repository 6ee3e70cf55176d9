// product_coop uses the parameter block of product_tile.
#ifndef BX_PARAMS_PRODUCT_COOP_H
#define BX_PARAMS_PRODUCT_COOP_H
#include "params/product_tile.h"

// The numbers of rows and outputs of a tile, and of subgroups of a workgroup.
#define BX_PRODUCT_COOP_ROWS 64u
#define BX_PRODUCT_COOP_OUTS 64u
#define BX_PRODUCT_COOP_SUBGROUPS 4u

// Specialization constants.
#define BX_PRODUCT_COOP_GROUP_SIZE 0
#define BX_PRODUCT_COOP_FORM 1
#define BX_PRODUCT_COOP_OTHER 2   // see params/product_end.h
#define BX_PRODUCT_COOP_SOURCE 3  // see params/product_rows.h
#define BX_PRODUCT_COOP_HAS_BIAS 4

#endif
