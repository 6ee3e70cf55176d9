#ifndef BX_PARAMS_MOE_SWIGLU_TILE_H
#define BX_PARAMS_MOE_SWIGLU_TILE_H
#include "params/columns.h"
#include "params/moe_swiglu.h"

// Parameters: MoeSwigluPush.

// Specialization constants.
#define BX_MOE_SWIGLU_TILE_GROUP_SIZE 0
#define BX_MOE_SWIGLU_TILE_GATE_FORM 1
#define BX_MOE_SWIGLU_TILE_UP_FORM 2
#define BX_MOE_SWIGLU_TILE_SHARED_GATE_FORM 3
#define BX_MOE_SWIGLU_TILE_SHARED_UP_FORM 4
#define BX_MOE_SWIGLU_TILE_ROWS 5
#define BX_MOE_SWIGLU_TILE_COLUMNS 6  // see params/columns.h

#endif
