#ifndef BX_PARAMS_SELECTIVE_SCAN_DT_H
#define BX_PARAMS_SELECTIVE_SCAN_DT_H
#include "params/selective_scan.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

// The members of SelectiveScanPush have the meaning that they have there.
struct SelectiveScanDtPush {
  WeightAddress dt_weight;  // [E, dt_rank]
  WeightAddress dt_bias;
  WeightAddress a_log;
  WeightAddress skip;
  uvec2 b_norm;
  uvec2 c_norm;
  uvec2 dt_norm;  // address of [dt_rank] floats, when HAS_DT_NORM
  uint dt_rank;   // the first columns of params
  uint d_inner;
  uint params_width;
  uint first_b;
  uint slot_stride;
  uint version_stride;
  float dt_min;
  float dt_max;
  float eps;  // of all norms
};

// Those of selective_scan; DT_WEIGHT_FORM is BX_FORM_ABSENT. And:
#define BX_SELECTIVE_SCAN_DT_FORM 8  // form of dt_weight
#define BX_SELECTIVE_SCAN_DT_HAS_NORM 9
#define BX_SELECTIVE_SCAN_DT_CODES 10  // see params/mat_vec.h
#define BX_SELECTIVE_SCAN_DT_ROWS 11   // the most rows of the step

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
