#ifndef BX_PARAMS_ATTENTION_BACK_H
#define BX_PARAMS_ATTENTION_BACK_H
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

// Parameters of attention_back and attention_back_kv.
struct AttentionBackPush {
  uint n_heads;
  uint n_kv_heads;
  uint window;  // UINT32_MAX without a window
  uint page_group;
  float scale;  // 1 / sqrt(head_dim)
};

// Specialization constants of both shaders.
#define BX_ATTENTION_BACK_GROUP_SIZE 0
#define BX_ATTENTION_BACK_HEAD_DIM 1
#define BX_ATTENTION_BACK_HALF 2  // keys and values are float16

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
