// Parameters of the shader of dropout.
#ifndef BX_PARAMS_DROPOUT_H
#define BX_PARAMS_DROPOUT_H
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

struct DropoutPush {
  float p;
  uint index;
  uint seed_low;
  uint seed_high;
  uint n_cols;
  // The launch computes the rows whose masks are rows [first_row, end_row) of all masks.
  uint first_row;
  uint end_row;
  uint first_column;
  uint mask_cols;
};

#define BX_DROPOUT_GROUP_SIZE 0
#define BX_DROPOUT_HAS_MASKS 1

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
