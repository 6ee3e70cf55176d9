#ifndef BX_PARAMS_ATTENTION_SPLIT_H
#define BX_PARAMS_ATTENTION_SPLIT_H
#include "params/attention.h"

// AttentionPush and the constants of params/attention.h, and
#define BX_ATTENTION_SPLIT_SUBGROUPS 5  // most subgroups that a work group may have
#endif
