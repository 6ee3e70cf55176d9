#ifndef BX_PARAMS_PRODUCT_ROUTE_H
#define BX_PARAMS_PRODUCT_ROUTE_H
#include "params/moe_experts.h"
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

struct ProductRoutePush {
  WeightAddress weight;       // [D, n_cols]
  WeightAddress gate;         // [X, D]
  WeightAddress shared_gate;  // [D], when there is a shared expert
  uvec2 bias;                 // address of [D] floats, when HAS_BIAS
  uvec2 norm;                 // address of [D] floats, when HAS_NORM
  uint d_model;               // D
  uint n_cols;                // the columns of x that are read
  uint n_experts;
  uint top_k;
  float eps;
};

#define BX_PRODUCT_ROUTE_GROUP_SIZE 0
#define BX_PRODUCT_ROUTE_FORM 1
#define BX_PRODUCT_ROUTE_HAS_BIAS 2
#define BX_PRODUCT_ROUTE_HAS_RESIDUAL 3
#define BX_PRODUCT_ROUTE_OUTS 4
#define BX_PRODUCT_ROUTE_CODES 5  // see params/mat_vec.h
#define BX_PRODUCT_ROUTE_HAS_NORM 6
#define BX_PRODUCT_ROUTE_GATE_FORM 7
#define BX_PRODUCT_ROUTE_SHARED_FORM 8
#define BX_PRODUCT_ROUTE_RENORMALIZES 9  // whether the chosen gates are divided by their sum

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
