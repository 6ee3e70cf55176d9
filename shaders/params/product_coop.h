// Uses the parameters of product_tile.
#ifndef BX_PARAMS_PRODUCT_COOP_H
#define BX_PARAMS_PRODUCT_COOP_H
#include "params/product_tile.h"

// Rows and outputs of a tile. A workgroup has four subgroups.
#define BX_PRODUCT_COOP_ROWS 64u
#define BX_PRODUCT_COOP_OUTS 64u
#define BX_PRODUCT_COOP_SUBGROUPS 4u

// Specialization constants.
#define BX_PRODUCT_COOP_GROUP_SIZE 0
#define BX_PRODUCT_COOP_FORM 1
#define BX_PRODUCT_COOP_HAS_RESIDUAL 2
#define BX_PRODUCT_COOP_SOURCE 3  // see params/product_rows.h

#endif
