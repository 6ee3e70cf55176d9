#ifndef BX_PARAMS_ATTENTION_ROWS_H
#define BX_PARAMS_ATTENTION_ROWS_H
#include "params/attention.h"

// AttentionPush, the constants of params/attention.h, and these:
#define BX_ATTENTION_ROWS_QUERIES 5    // rows that one group of lanes computes together
#define BX_ATTENTION_ROWS_TILE_KEYS 6  // keys in shared memory at a time
#endif
