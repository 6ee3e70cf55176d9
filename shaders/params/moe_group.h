#ifndef BX_PARAMS_MOE_GROUP_H
#define BX_PARAMS_MOE_GROUP_H
#include "params/moe_experts.h"
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

struct MoeGroupPush {
  uint n_experts;
  uint top_k;
  uint n_slots;    // top_k, plus one with a shared expert
  uint tile_rows;  // the largest number of pairs in a tile
  uint n_across;   // the number of workgroups per tile
};

// Specialization constants.
#define BX_MOE_GROUP_GROUP_SIZE 0

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
