#ifndef BX_PARAMS_SILU_MUL_BACKWARD_H
#define BX_PARAMS_SILU_MUL_BACKWARD_H
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

struct SiluMulBackwardPush {
  uint n_cols;
};

// Specialization constants.
#define BX_SILU_MUL_BACKWARD_GROUP_SIZE 0

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
