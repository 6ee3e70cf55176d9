#ifndef BX_PARAMS_ADAMW_H
#define BX_PARAMS_ADAMW_H
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

struct AdamwPush {
  uint n;
};

// Specialization constants.
#define BX_ADAMW_GROUP_SIZE 0

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
