#ifndef BX_PARAMS_LOAD_ROWS_H
#define BX_PARAMS_LOAD_ROWS_H
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

struct LoadRowsPush {
  uint n_cols;
  uint first_row;  // the rows [first_row, end_row) of the store are in the binding
  uint end_row;
};

// Specialization constants.
#define BX_LOAD_ROWS_GROUP_SIZE 0
#define BX_LOAD_ROWS_OF_OUTPUTS 1  // whether a row of the result belongs to an output

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
