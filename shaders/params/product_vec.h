#ifndef BX_PARAMS_PRODUCT_VEC_H
#define BX_PARAMS_PRODUCT_VEC_H
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

struct ProductVecPush {
  WeightAddress weight;
  WeightAddress up;    // when UP_FORM is not BX_FORM_ABSENT
  WeightAddress norm;  // when NORM_FORM is not BX_FORM_ABSENT
  WeightAddress bias;  // float32, when HAS_BIAS
  uint weight_row;     // the row of the weight, and the element of the bias, that gives output 0
  uint first_out;      // computes outputs [first_out, end_out) of n_out
  uint end_out;
  uint n_out;
  uint n_cols;
  uint x_width;    // the number of columns of x; the first n_cols are read
  uint first_row;  // computes the valid rows of the result in [first_row, end_row); row first_row
  uint end_row;    // is the first row in the bindings of residual and result
  float eps;
};

// Specialization constants.
#define BX_PRODUCT_VEC_GROUP_SIZE 0
#define BX_PRODUCT_VEC_FORM 1
#define BX_PRODUCT_VEC_NORM_FORM 2
#define BX_PRODUCT_VEC_OTHER 3   // see params/product_end.h
#define BX_PRODUCT_VEC_SOURCE 4  // see params/product_rows.h
#define BX_PRODUCT_VEC_OUTS 5
#define BX_PRODUCT_VEC_ROWS 6
#define BX_PRODUCT_VEC_HAS_BIAS 7
#define BX_PRODUCT_VEC_UP_FORM 8
#define BX_PRODUCT_VEC_X_QUADS 9  // whether x_width is a multiple of 4
#define BX_PRODUCT_VEC_CODES 10  // see params/mat_vec.h

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
