#ifndef BX_PARAMS_ATTENTION_MERGE_H
#define BX_PARAMS_ATTENTION_MERGE_H
#include "params/attention.h"

// Parameters: AttentionPush. The only specialization constant:
#define BX_ATTENTION_MERGE_GROUP_SIZE 0

// The largest n_splits.
#define BX_ATTENTION_MERGE_MAX_SPLITS 64
#endif
