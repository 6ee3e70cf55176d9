#ifndef BX_PARAMS_CROSS_ENTROPY_H
#define BX_PARAMS_CROSS_ENTROPY_H
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

struct CrossEntropyPush {
  uint n_cols;
  uint first_row;  // computes the valid outputs in [first_row, end_row), which the bindings hold
  uint end_row;
};

// Specialization constants.
#define BX_CROSS_ENTROPY_GROUP_SIZE 0

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
