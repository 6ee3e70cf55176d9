#ifndef BX_PARAMS_ADD_H
#define BX_PARAMS_ADD_H
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

struct AddPush {
  uint n_cols;
};

// Specialization constants.
#define BX_ADD_GROUP_SIZE 0

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
