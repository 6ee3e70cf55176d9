#ifndef BX_PARAMS_ADD_GATED_H
#define BX_PARAMS_ADD_GATED_H
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

struct AddGatedPush {
  uint n_cols;
  uint n_gates;
  uint column;
};

// Specialization constants.
#define BX_ADD_GATED_GROUP_SIZE 0

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
