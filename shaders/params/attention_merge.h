#ifndef BX_PARAMS_ATTENTION_MERGE_H
#define BX_PARAMS_ATTENTION_MERGE_H
#include "params/attention.h"

// AttentionPush, and
#define BX_ATTENTION_MERGE_GROUP_SIZE 0

// Most parts that the keys of a row may be split into.
#define BX_ATTENTION_MERGE_MAX_SPLITS 64
#endif
