#ifndef BX_PARAMS_ATTENTION_ROWS_H
#define BX_PARAMS_ATTENTION_ROWS_H
#include "params/attention.h"

// The parameters are AttentionPush. The specialization constants are those of params/attention.h
// and these constants:
#define BX_ATTENTION_ROWS_QUERIES 6    // queries that one group of lanes computes together
#define BX_ATTENTION_ROWS_TILE_KEYS 7  // the number of keys in shared memory at a time
#endif
