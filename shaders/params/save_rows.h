#ifndef BX_PARAMS_SAVE_ROWS_H
#define BX_PARAMS_SAVE_ROWS_H
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

struct SaveRowsPush {
  uint n_cols;
  uint first_row;  // the rows [first_row, end_row) of the store are in the binding
  uint end_row;
};

// Specialization constants.
#define BX_SAVE_ROWS_GROUP_SIZE 0
#define BX_SAVE_ROWS_OF_OUTPUTS 1  // whether a row of x belongs to an output

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
