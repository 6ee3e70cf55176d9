#ifndef BX_PARAMS_MOE_BACK_H
#define BX_PARAMS_MOE_BACK_H
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

struct MoeBackPush {
  WeightAddress weight;  // [X, n_out, n_cols]
  uint n_out;
  uint n_cols;
  uint pairs_per_g;  // adjacent pairs (row, slot) that share a row of g: 1, or top_k
};

struct MoeBackGatesPush {
  uint intermediate;
  uint top_k;
};

struct MoeBackSumPush {
  uint d_model;
  uint top_k;
};

// Specialization constants of moe_back.
#define BX_MOE_BACK_GROUP_SIZE 0
#define BX_MOE_BACK_FORM 1
#define BX_MOE_BACK_ADDS 2  // adds to y
#define BX_MOE_BACK_ROWS 3  // the largest number of pairs of a tile

// Specialization constants of moe_back_gates and of moe_back_sum.
#define BX_MOE_BACK_GATES_GROUP_SIZE 0
#define BX_MOE_BACK_SUM_GROUP_SIZE 0

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
