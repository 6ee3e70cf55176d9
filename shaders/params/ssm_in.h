// Parameters of ssm_in_vec, which is for steps of one row, and of ssm_conv and ssm_tail, which are
// for steps of several rows.
#ifndef BX_PARAMS_SSM_IN_H
#define BX_PARAMS_SSM_IN_H
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

struct SsmInVecPush {
  WeightAddress in_proj;      // [2E, D]
  WeightAddress conv_weight;  // [E, K]
  WeightAddress params;       // [P, E], when PARAMS_FORM is not BX_FORM_ABSENT
  uvec2 in_bias;              // address of [2E] floats, when HAS_BIAS
  uvec2 norm;                 // address of [D] floats, when NORM_FORM is not BX_FORM_ABSENT
  uvec2 conv_bias;            // address of [E] floats, when HAS_CONV_BIAS
  uint n_params;              // P
  uint d_inner;               // E
  uint d_model;               // D
  uint d_conv;                // K
  uint slot_stride;           // strides of the tail are in words
  uint version_stride;
  float eps;
};

struct SsmConvPush {
  WeightAddress conv_weight;
  WeightAddress conv_bias;  // when HAS_BIAS
  uint d_inner;
  uint v_width;  // the number of columns of the array that begins with v
  uint d_conv;
  uint slot_stride;
  uint version_stride;
};

struct SsmTailPush {
  uint d_inner;
  uint v_width;
  uint d_conv;
  uint slot_stride;
  uint version_stride;
};

// Specialization constants of ssm_in_vec.
#define BX_SSM_IN_VEC_GROUP_SIZE 0
#define BX_SSM_IN_VEC_FORM 1
#define BX_SSM_IN_VEC_NORM_FORM 2
#define BX_SSM_IN_VEC_CONV_FORM 3
#define BX_SSM_IN_VEC_OUTS 4  // rows of in_proj per subgroup
#define BX_SSM_IN_VEC_HAS_BIAS 5
#define BX_SSM_IN_VEC_HAS_CONV_BIAS 6
#define BX_SSM_IN_VEC_CODES 7        // see params/mat_vec.h
#define BX_SSM_IN_VEC_PARAMS_FORM 8  // form of the second weight, or BX_FORM_ABSENT
#define BX_SSM_IN_VEC_ROWS 9

// Specialization constants of ssm_conv.
#define BX_SSM_CONV_GROUP_SIZE 0
#define BX_SSM_CONV_FORM 1
#define BX_SSM_CONV_HAS_BIAS 2

// Specialization constant of ssm_tail.
#define BX_SSM_TAIL_GROUP_SIZE 0

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
