#ifndef BX_PARAMS_MOE_DOWN_MATRIX_H
#define BX_PARAMS_MOE_DOWN_MATRIX_H
#include "params/matrix_tile.h"
#include "params/moe_down.h"

// Parameters: MoeDownPush. The specialization constants are those of params/matrix_tile.h and these
// constants:
#define BX_MOE_DOWN_MATRIX_FORM 1
#define BX_MOE_DOWN_MATRIX_SHARED_FORM 2

#endif
