#ifndef BX_PARAMS_MOE_SWIGLU_MATRIX_H
#define BX_PARAMS_MOE_SWIGLU_MATRIX_H
#include "params/matrix_tile.h"
#include "params/moe_swiglu.h"

// Parameters: MoeSwigluPush. The specialization constants are those of params/matrix_tile.h and these
// constants:
#define BX_MOE_SWIGLU_MATRIX_GATE_FORM 1
#define BX_MOE_SWIGLU_MATRIX_UP_FORM 2
#define BX_MOE_SWIGLU_MATRIX_SHARED_GATE_FORM 3
#define BX_MOE_SWIGLU_MATRIX_SHARED_UP_FORM 4

#endif
