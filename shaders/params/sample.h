#ifndef BX_PARAMS_SAMPLE_H
#define BX_PARAMS_SAMPLE_H
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

// Parameters of sample_scale and sample_draw.
struct SamplePush {
  uint vocab_size;
  uint n_parts;    // parts of the vocabulary: one per workgroup of sample_scale, as in best[]
  uint seen_slot;  // all strides are in words
  uint seen_version;
  uint next_token_slot;
  uint next_token_version;
};

// The number of tokens that one invocation of sample_scale, or of the weights, computes.
#define BX_SAMPLE_PER_LANE 4
// The largest number of subgroups of a workgroup: 1024 invocations in subgroups of 4.
#define BX_SAMPLE_MAX_SUBGROUPS 256

// Specialization constants.
#define BX_SAMPLE_GROUP_SIZE 0
#define BX_SAMPLE_DRAW 1
#define BX_SAMPLE_PENALTY 2  // only in sample_scale

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
