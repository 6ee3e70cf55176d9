#ifndef BX_PARAMS_ATTENTION_SPLIT_H
#define BX_PARAMS_ATTENTION_SPLIT_H
#include "params/attention.h"

// AttentionPush, the constants of params/attention.h, and this one:
#define BX_ATTENTION_SPLIT_SUBGROUPS 5  // most subgroups in a workgroup
#endif
