#ifndef BX_PARAMS_MULTIPLY_ADD_H
#define BX_PARAMS_MULTIPLY_ADD_H
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

struct MultiplyAddPush {
  uint n_rounds;
  float factor;
  float term;
};

// The number of chains per invocation. A round does two operations in each chain.
#define BX_MULTIPLY_ADD_CHAINS 32

// Specialization constants.
#define BX_MULTIPLY_ADD_GROUP_SIZE 0

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
