#ifndef BX_PARAMS_ATTN_APPEND_H
#define BX_PARAMS_ATTN_APPEND_H
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

struct AttnAppendPush {
  uint width;       // elements of a row of keys, and of values
  uint page_group;  // the page group of keys and values
};

// Specialization constants.
#define BX_ATTN_APPEND_GROUP_SIZE 0
#define BX_ATTN_APPEND_HALF 1  // keys and values are float16

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
