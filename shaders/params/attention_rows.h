#ifndef BX_PARAMS_ATTENTION_ROWS_H
#define BX_PARAMS_ATTENTION_ROWS_H
#include "params/attention.h"

// Parameters: AttentionPush. Specialization constants: those of params/attention.h, and:
#define BX_ATTENTION_ROWS_QUERIES 5    // rows that one group of lanes computes together
#define BX_ATTENTION_ROWS_TILE_KEYS 6  // keys in shared memory at a time
#endif
