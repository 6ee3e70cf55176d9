#ifndef BX_PARAMS_SAMPLE_H
#define BX_PARAMS_SAMPLE_H
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

// Of sample_scale, sample_weight and sample_draw.
struct SampleSizes {
  uint n_vocab;
  uint n_groups;  // work groups of sample_scale per segment, each with a line of best[]
  uint seen_slot;  // strides in words
  uint seen_version;
  uint next_token_slot;
  uint next_token_version;
};

// Tokens that an invocation of sample_scale and of sample_weight does.
#define BX_SAMPLE_PER_LANE 4
// Most subgroups of a work group: its invocations are at most four times as many.
#define BX_SAMPLE_MAX_SUBGROUPS 256

// Specialization constants. sample_weight has only the first.
#define BX_SAMPLE_GROUP_SIZE 0
#define BX_SAMPLE_DRAW 1
#define BX_SAMPLE_PENALTY 2  // sample_scale

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
