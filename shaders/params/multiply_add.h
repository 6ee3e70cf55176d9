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

// Chains per invocation; each has two operations per round.
#define BX_MULTIPLY_ADD_CHAINS 32

// Specialization constants.
#define BX_MULTIPLY_ADD_GROUP_SIZE 0

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
