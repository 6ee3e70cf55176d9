#ifndef BX_PARAMS_SILU_MUL_H
#define BX_PARAMS_SILU_MUL_H
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

struct SiluMulPush {
  uint n_cols;
};

// Specialization constants.
#define BX_SILU_MUL_GROUP_SIZE 0

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
