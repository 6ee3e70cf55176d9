#ifndef BX_PARAMS_ATTN_IN_VEC_H
#define BX_PARAMS_ATTN_IN_VEC_H
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

struct AttnInVecPush {
  WeightAddress q;
  WeightAddress k;
  WeightAddress v;
  // Addresses of vectors of floats, and of the rotary table. Zeros for one that is absent.
  uvec2 norm;
  uvec2 q_bias;
  uvec2 k_bias;
  uvec2 v_bias;
  uvec2 q_norm;
  uvec2 k_norm;
  uvec2 rotary;
  uint d_model;
  uint q_width;      // rows of q
  uint kv_width;     // rows of k, and of v
  uint n_positions;  // rows of the rotary table
  uint page_group;   // the page group of keys and values
  float eps;
};

#define BX_ATTN_IN_VEC_GROUP_SIZE 0
#define BX_ATTN_IN_VEC_NORM_FORM 1
#define BX_ATTN_IN_VEC_Q_FORM 2
#define BX_ATTN_IN_VEC_K_FORM 3
#define BX_ATTN_IN_VEC_V_FORM 4
#define BX_ATTN_IN_VEC_HALF 5      // keys and values are float16; kv_width is then even
#define BX_ATTN_IN_VEC_OUTS 6      // even
#define BX_ATTN_IN_VEC_HEAD_DIM 7  // of heads that are turned, a multiple of OUTS; 0: none is turned
#define BX_ATTN_IN_VEC_CODES 8     // see params/mat_vec.h
#define BX_ATTN_IN_VEC_Q_BIAS 9    // 9 to 13: whether the operand is present
#define BX_ATTN_IN_VEC_K_BIAS 10
#define BX_ATTN_IN_VEC_V_BIAS 11
#define BX_ATTN_IN_VEC_Q_NORM 12
#define BX_ATTN_IN_VEC_K_NORM 13
#define BX_ATTN_IN_VEC_ROTARY_FORM 14  // form of the rotary table, or BX_FORM_ABSENT
#define BX_ATTN_IN_VEC_ROWS 15

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
