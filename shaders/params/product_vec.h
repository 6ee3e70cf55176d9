#ifndef BX_PARAMS_PRODUCT_VEC_H
#define BX_PARAMS_PRODUCT_VEC_H
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

struct ProductVecPush {
  WeightAddress weight;
  WeightAddress norm;  // when NORM_FORM is not BX_FORM_ABSENT
  uint weight_row;     // the row of the weight that gives output 0
  uint first_out;      // computes outputs [first_out, end_out) of n_out
  uint end_out;
  uint n_out;
  uint n_cols;
  uint first_row;  // computes the valid rows of the result in [first_row, end_row); row first_row
  uint end_row;    // is the first row in the bindings of residual and result
  float eps;
};

// Specialization constants.
#define BX_PRODUCT_VEC_GROUP_SIZE 0
#define BX_PRODUCT_VEC_FORM 1
#define BX_PRODUCT_VEC_NORM_FORM 2
#define BX_PRODUCT_VEC_HAS_RESIDUAL 3
#define BX_PRODUCT_VEC_SOURCE 4  // see params/product_rows.h
#define BX_PRODUCT_VEC_OUTS 5
#define BX_PRODUCT_VEC_ROWS 6

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
