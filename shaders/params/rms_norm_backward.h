#ifndef BX_PARAMS_RMS_NORM_BACKWARD_H
#define BX_PARAMS_RMS_NORM_BACKWARD_H
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

struct RmsNormBackwardPush {
  WeightAddress norm;
  uint n_cols;
  uint x_width;  // the number of columns of x and g_x, >= n_cols
  float eps;
};

// Specialization constants.
#define BX_RMS_NORM_BACKWARD_GROUP_SIZE 0

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
