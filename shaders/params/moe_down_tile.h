#ifndef BX_PARAMS_MOE_DOWN_TILE_H
#define BX_PARAMS_MOE_DOWN_TILE_H
#include "params/columns.h"
#include "params/moe_down.h"

// Parameters: MoeDownPush.

// Specialization constants.
#define BX_MOE_DOWN_TILE_GROUP_SIZE 0
#define BX_MOE_DOWN_TILE_FORM 1
#define BX_MOE_DOWN_TILE_SHARED_FORM 2
#define BX_MOE_DOWN_TILE_ROWS 3
#define BX_MOE_DOWN_TILE_COLUMNS 4  // see params/columns.h

#endif
