#ifndef BX_PARAMS_PRODUCT_VEC_H
#define BX_PARAMS_PRODUCT_VEC_H
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

struct ProductVecParams {
  WeightRef weight;
  WeightRef norm;  // when NORM_FORM is not BX_FORM_ABSENT
  uint n_out;      // rows of the weight
  uint n_cols;
  uint first_row;  // of the argument rows that this launch computes
  float eps;
};

// Specialization constants.
#define BX_PRODUCT_VEC_GROUP_SIZE 0
#define BX_PRODUCT_VEC_FORM 1
#define BX_PRODUCT_VEC_NORM_FORM 2
#define BX_PRODUCT_VEC_HAS_RESIDUAL 3
#define BX_PRODUCT_VEC_LAST_OF_SEGMENT 4
#define BX_PRODUCT_VEC_ROWS 5
#define BX_PRODUCT_VEC_COLS 6

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
