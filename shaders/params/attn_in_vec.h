#ifndef BX_PARAMS_ATTN_IN_VEC_H
#define BX_PARAMS_ATTN_IN_VEC_H
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

struct AttnInVecPush {
  WeightAddress norm;  // when NORM_FORM is not BX_FORM_ABSENT
  WeightAddress q;
  WeightAddress k;
  WeightAddress v;
  uint d_model;      // also the number of rows of each matrix
  uint capacity;     // rows of the KV cache's ring buffers ("rings")
  uint keys_stride;  // words from one slot to the next
  uint values_stride;
  float eps;
};

// Specialization constants.
#define BX_ATTN_IN_VEC_GROUP_SIZE 0
#define BX_ATTN_IN_VEC_NORM_FORM 1
#define BX_ATTN_IN_VEC_Q_FORM 2
#define BX_ATTN_IN_VEC_K_FORM 3
#define BX_ATTN_IN_VEC_V_FORM 4
#define BX_ATTN_IN_VEC_HALF 5  // the rings are float16; d_model is then even
#define BX_ATTN_IN_VEC_OUTS 6  // even

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
