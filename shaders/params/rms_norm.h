#ifndef BX_PARAMS_RMS_NORM_H
#define BX_PARAMS_RMS_NORM_H
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

struct RmsNormPush {
  WeightAddress norm;
  uint n_cols;
  uint x_width;  // the number of columns of x; the first n_cols are read
  float eps;
};

// Specialization constants.
#define BX_RMS_NORM_GROUP_SIZE 0
#define BX_RMS_NORM_SOURCE 1  // see params/product_rows.h

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
