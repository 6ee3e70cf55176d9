// Parameters of the shaders of the gradient of the convolution: ssm_conv_slope, ssm_conv_back and
// ssm_conv_carry.
#ifndef BX_PARAMS_SSM_CONV_BACKWARD_H
#define BX_PARAMS_SSM_CONV_BACKWARD_H
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

struct SsmConvSlopePush {
  WeightAddress conv_weight;
  WeightAddress conv_bias;  // when HAS_BIAS
  uint d_inner;             // E
  uint v_width;
  uint d_conv;       // K
  uint slot_stride;  // strides of the tail are in words
  uint version_stride;
};

struct SsmConvBackPush {
  WeightAddress conv_weight;
  uint d_inner;
  uint d_conv;
  uint slot_stride;  // strides of the carry are in words
  uint version_stride;
};

struct SsmConvCarryPush {
  uint d_inner;
  uint d_conv;
  uint slot_stride;
  uint version_stride;
};

// Specialization constants of ssm_conv_slope.
#define BX_SSM_CONV_SLOPE_GROUP_SIZE 0
#define BX_SSM_CONV_SLOPE_FORM 1
#define BX_SSM_CONV_SLOPE_HAS_BIAS 2

// Specialization constants of ssm_conv_back.
#define BX_SSM_CONV_BACK_GROUP_SIZE 0
#define BX_SSM_CONV_BACK_FORM 1

// Specialization constant of ssm_conv_carry.
#define BX_SSM_CONV_CARRY_GROUP_SIZE 0

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
