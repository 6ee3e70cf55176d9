#ifndef BX_PARAMS_ATTENTION_SPLIT_H
#define BX_PARAMS_ATTENTION_SPLIT_H
#include "params/attention.h"

// The parameters are AttentionPush. The specialization constants are those of params/attention.h
// and this constant:
#define BX_ATTENTION_SPLIT_SUBGROUPS 6  // the largest number of subgroups in a workgroup

// The largest value that AttentionPush::n_splits may have.
#define BX_ATTENTION_MAX_SPLITS 64
#endif
