#ifndef BX_PARAMS_MOE_SWIGLU_H
#define BX_PARAMS_MOE_SWIGLU_H
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

struct MoeSwigluPush {
  WeightAddress gate, up;                // [X, I, D]
  WeightAddress shared_gate, shared_up;  // [I, D], when there is a shared expert
  uint d_model;
  uint intermediate;
  uint n_experts;
  uint top_k;
};

// Specialization constants.
#define BX_MOE_SWIGLU_GROUP_SIZE 0
#define BX_MOE_SWIGLU_GATE_FORM 1
#define BX_MOE_SWIGLU_UP_FORM 2
#define BX_MOE_SWIGLU_SHARED_GATE_FORM 3
#define BX_MOE_SWIGLU_SHARED_UP_FORM 4
#define BX_MOE_SWIGLU_OUTS 5
#define BX_MOE_SWIGLU_CODES 6  // see params/mat_vec.h

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
