#ifndef BX_PARAMS_ATTENTION_MERGE_H
#define BX_PARAMS_ATTENTION_MERGE_H
#include "params/attention.h"

// The parameters are AttentionPush. The only specialization constant is:
#define BX_ATTENTION_MERGE_GROUP_SIZE 0

// The largest value that AttentionPush::n_splits may have.
#define BX_ATTENTION_MERGE_MAX_SPLITS 64
#endif
