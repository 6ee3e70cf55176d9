#ifndef BX_PARAMS_MOE_ROUTE_BACKWARD_H
#define BX_PARAMS_MOE_ROUTE_BACKWARD_H
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

struct MoeRouteBackwardPush {
  WeightAddress norm;         // [D], when NORM_FORM is not BX_FORM_ABSENT
  WeightAddress gate;         // [X, D]
  WeightAddress shared_gate;  // [D], when SHARED_FORM is not BX_FORM_ABSENT
  uint d_model;
  uint n_experts;
  uint top_k;
  float eps;
};

// Specialization constants.
#define BX_MOE_ROUTE_BACKWARD_GROUP_SIZE 0
#define BX_MOE_ROUTE_BACKWARD_FORM 1
#define BX_MOE_ROUTE_BACKWARD_NORM_FORM 2
#define BX_MOE_ROUTE_BACKWARD_SHARED_FORM 3
#define BX_MOE_ROUTE_BACKWARD_RENORMALIZES 4
#define BX_MOE_ROUTE_BACKWARD_OF_NORMED 5  // there is a gradient of normed
#define BX_MOE_ROUTE_BACKWARD_OF_GATES 6   // there is a gradient of the gates

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
