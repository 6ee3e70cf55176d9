#ifndef BX_PARAMS_LINEAR_BACKWARD_H
#define BX_PARAMS_LINEAR_BACKWARD_H
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

struct LinearBackwardPush {
  WeightAddress weight;
  uint n_out;  // the rows of the weight
  uint n_cols;
  uint width;      // the number of columns of the result
  uint first_row;  // computes the valid rows in [first_row, end_row), which the bindings hold
  uint end_row;
};

// Specialization constants.
#define BX_LINEAR_BACKWARD_GROUP_SIZE 0  // also the number of columns of a tile
#define BX_LINEAR_BACKWARD_FORM 1
#define BX_LINEAR_BACKWARD_OF_OUTPUTS 2  // whether rows belong to outputs
#define BX_LINEAR_BACKWARD_ROWS 3        // the number of rows of a tile

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
