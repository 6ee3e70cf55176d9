#ifndef BX_PARAMS_MOE_DOWN_H
#define BX_PARAMS_MOE_DOWN_H
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

struct MoeDownPush {
  WeightAddress down;         // [X, D, I]
  WeightAddress shared_down;  // [D, I], when there is a shared expert
  uint d_model;
  uint intermediate;
  uint n_experts;
  uint top_k;
  uint pairs_per_x;  // adjacent pairs (row, slot) that share a row of act; only for moe_down_tile
};

// Specialization constants.
#define BX_MOE_DOWN_GROUP_SIZE 0
#define BX_MOE_DOWN_FORM 1
#define BX_MOE_DOWN_SHARED_FORM 2
#define BX_MOE_DOWN_OUTS 3
#define BX_MOE_DOWN_CODES 4  // see params/mat_vec.h

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
