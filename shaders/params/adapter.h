// Parameters of the shaders of adapter and adapter_backward.
#ifndef BX_PARAMS_ADAPTER_H
#define BX_PARAMS_ADAPTER_H
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

// Offsets are in words, from the beginning of the binding that holds the parameter.

// Of adapter_inner, adapter_backward_x and adapter_backward_a.
struct AdapterInnerPush {
  uint n_in;
  uint rank;
  uint a;
};

struct AdapterPush {
  WeightAddress bias;  // float32, when HAS_BIAS
  uint n_out;
  uint rank;
  float scale;
  uint b;
  uint m;
  uint norm;
};

// Of adapter_backward_outer.
struct AdapterOuterPush {
  uint n_out;
  uint rank;
  float scale;
  uint b;
  uint m;
  uint norm;
};

// Of adapter_backward_b.
struct AdapterSumPush {
  uint n_out;
  uint rank;
  float scale;
  uint b;
  uint m;
  uint norm;
  uint g_b;
  uint g_m;
};

// The columns of A, or the rows of B, that one workgroup computes with.
#define BX_ADAPTER_RANKS 8u

// The specialization constant of adapter_inner.
#define BX_ADAPTER_INNER_GROUP_SIZE 0

// Specialization constants of adapter.
#define BX_ADAPTER_GROUP_SIZE 0
#define BX_ADAPTER_IS_DORA 1
#define BX_ADAPTER_HAS_BIAS 2
#define BX_ADAPTER_HAS_RESIDUAL 3

// Specialization constants of adapter_backward_outer.
#define BX_ADAPTER_BACKWARD_OUTER_GROUP_SIZE 0
#define BX_ADAPTER_BACKWARD_OUTER_IS_DORA 1

// The specialization constant of adapter_backward_x.
#define BX_ADAPTER_BACKWARD_X_GROUP_SIZE 0

// Specialization constants of adapter_backward_a.
#define BX_ADAPTER_BACKWARD_A_GROUP_SIZE 0
#define BX_ADAPTER_BACKWARD_A_OF_OUTPUTS 1

// Specialization constants of adapter_backward_b.
#define BX_ADAPTER_BACKWARD_B_GROUP_SIZE 0
#define BX_ADAPTER_BACKWARD_B_IS_DORA 1
#define BX_ADAPTER_BACKWARD_B_OF_OUTPUTS 2

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
