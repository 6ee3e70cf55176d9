#ifndef BX_PARAMS_ATTENTION_SPLIT_H
#define BX_PARAMS_ATTENTION_SPLIT_H
#include "params/attention.h"

// Parameters: AttentionPush. Specialization constants: those of params/attention.h, and:
#define BX_ATTENTION_SPLIT_SUBGROUPS 5  // most subgroups in a workgroup
#endif
