#ifndef BX_PARAMS_ATTENTION_MATRIX_H
#define BX_PARAMS_ATTENTION_MATRIX_H
#include "params/attention.h"

// The parameters are AttentionPush. The specialization constants are:
#define BX_ATTENTION_MATRIX_GROUP_SIZE 0
#define BX_ATTENTION_MATRIX_M 1  // the shape of the products of matrix units: M by K times K by N
#define BX_ATTENTION_MATRIX_N 2
#define BX_ATTENTION_MATRIX_K 3
#define BX_ATTENTION_MATRIX_QUERIES 4    // queries of a block
#define BX_ATTENTION_MATRIX_SUBGROUPS 5  // subgroups of a workgroup
#define BX_ATTENTION_MATRIX_ACROSS 6     // subgroups that share the same queries
#define BX_ATTENTION_MATRIX_HEAD_DIM 7
#define BX_ATTENTION_MATRIX_SHARED 8  // heads of queries in a workgroup, with the same head of keys

// Keys of a tile.
#define BX_ATTENTION_MATRIX_KEYS 32u

#endif
