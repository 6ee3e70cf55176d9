#ifndef BX_PARAMS_READ_WORDS_H
#define BX_PARAMS_READ_WORDS_H
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

struct ReadWordsPush {
  uint n_quads;
};

// Specialization constants.
#define BX_READ_WORDS_GROUP_SIZE 0

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
