#ifndef BX_PARAMS_MOE_COMBINE_H
#define BX_PARAMS_MOE_COMBINE_H
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

struct MoeCombinePush {
  uint d_model;
  uint top_k;
  uint n_slots;
};

// Specialization constants.
#define BX_MOE_COMBINE_GROUP_SIZE 0

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
