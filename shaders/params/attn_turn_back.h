#ifndef BX_PARAMS_ATTN_TURN_BACK_H
#define BX_PARAMS_ATTN_TURN_BACK_H
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

struct AttnTurnBackPush {
  uvec2 q_norm;  // [d], float32; zeros for one that is absent
  uvec2 k_norm;
  uvec2 rotary;
  uint q_width;
  uint kv_width;
  uint n_positions;  // rows of the rotary table
  uint page_group;   // the page group of the gradients of keys and values
  float eps;
};

// Specialization constants.
#define BX_ATTN_TURN_BACK_GROUP_SIZE 0
#define BX_ATTN_TURN_BACK_HEAD_DIM 1  // elements of a head, or of a part of a row without heads
#define BX_ATTN_TURN_BACK_Q_NORM 2
#define BX_ATTN_TURN_BACK_K_NORM 3
#define BX_ATTN_TURN_BACK_ROTARY_FORM 4  // form of the rotary table, or BX_FORM_ABSENT

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
