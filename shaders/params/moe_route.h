#ifndef BX_PARAMS_MOE_ROUTE_H
#define BX_PARAMS_MOE_ROUTE_H
#include "params/moe_experts.h"
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

struct MoeRoutePush {
  WeightAddress norm;         // when NORM_FORM is not BX_FORM_ABSENT
  WeightAddress gate;         // [X, D]
  WeightAddress shared_gate;  // [D], when there is a shared expert
  uint d_model;
  uint n_experts;
  uint top_k;
  float eps;
};

// Specialization constants.
#define BX_MOE_ROUTE_GROUP_SIZE 0
#define BX_MOE_ROUTE_FORM 1
#define BX_MOE_ROUTE_NORM_FORM 2
#define BX_MOE_ROUTE_SHARED_FORM 3
#define BX_MOE_ROUTE_RENORMALIZES 4  // whether the chosen gates are divided by their sum
#define BX_MOE_ROUTE_CODES 5  // see params/mat_vec.h

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
