#ifndef BX_PARAMS_ATTN_APPEND_H
#define BX_PARAMS_ATTN_APPEND_H
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

struct AttnAppendPush {
  uint d_model;
  uint capacity;     // rows of the KV cache's ring buffers ("rings")
  uint keys_stride;  // words from one slot to the next
  uint values_stride;
};

// Specialization constants.
#define BX_ATTN_APPEND_GROUP_SIZE 0
#define BX_ATTN_APPEND_HALF 1  // the rings are float16

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
