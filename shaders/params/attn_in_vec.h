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
  uint d_model;
  uint q_width;     // rows of q
  uint kv_width;    // rows of k, and of v
  uint page_group;  // the page group of keys and values
  float eps;
};

// Specialization constants.
#define BX_ATTN_IN_VEC_GROUP_SIZE 0
#define BX_ATTN_IN_VEC_NORM_FORM 1
#define BX_ATTN_IN_VEC_Q_FORM 2
#define BX_ATTN_IN_VEC_K_FORM 3
#define BX_ATTN_IN_VEC_V_FORM 4
#define BX_ATTN_IN_VEC_HALF 5   // keys and values are float16; kv_width is then even
#define BX_ATTN_IN_VEC_OUTS 6   // even
#define BX_ATTN_IN_VEC_PAGED 7  // keys and values are in pages; otherwise they are one row each
#define BX_ATTN_IN_VEC_CODES 8  // see params/mat_vec.h

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
