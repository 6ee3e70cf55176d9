#ifndef BX_PARAMS_DORA_NORMS_H
#define BX_PARAMS_DORA_NORMS_H
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

struct DoraNormsPush {
  WeightAddress weight;
  uint n_in;
  uint n_out;
  uint rank;
  float scale;
  uint a;  // offsets are in words, from the beginning of the binding
  uint b;
  uint norm;
};

// Specialization constants.
#define BX_DORA_NORMS_GROUP_SIZE 0
#define BX_DORA_NORMS_FORM 1

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
