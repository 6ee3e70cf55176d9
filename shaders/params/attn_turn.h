#ifndef BX_PARAMS_ATTN_TURN_H
#define BX_PARAMS_ATTN_TURN_H
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

struct AttnTurnPush {
  // Addresses of vectors of floats, and of the rotary table. Zeros for one that is absent.
  uvec2 q_bias;
  uvec2 k_bias;
  uvec2 v_bias;
  uvec2 q_norm;
  uvec2 k_norm;
  uvec2 rotary;
  uint q_width;
  uint kv_width;
  uint n_positions;  // rows of the rotary table
  uint page_group;   // the page group of keys and values
  float eps;
};

// Specialization constants. ..._BIAS to ROTATES say which operands are present.
#define BX_ATTN_TURN_GROUP_SIZE 0
#define BX_ATTN_TURN_HEAD_DIM 1  // elements of a head, or of a part of a row if heads do not matter
#define BX_ATTN_TURN_Q_BIAS 2
#define BX_ATTN_TURN_K_BIAS 3
#define BX_ATTN_TURN_V_BIAS 4
#define BX_ATTN_TURN_Q_NORM 5
#define BX_ATTN_TURN_K_NORM 6
#define BX_ATTN_TURN_ROTARY_FORM 7  // form of the rotary table, or BX_FORM_ABSENT
#define BX_ATTN_TURN_HALF 8         // keys and values are float16
#define BX_ATTN_TURN_APPENDS 9      // writes keys and values to pages; otherwise in place

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
