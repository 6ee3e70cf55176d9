// Parameters of the shaders of the gradient of the selective scan: selective_scan_bc,
// selective_scan_backward and selective_scan_params.
#ifndef BX_PARAMS_SELECTIVE_SCAN_BACKWARD_H
#define BX_PARAMS_SELECTIVE_SCAN_BACKWARD_H
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

// The states are computed again for this number of rows at a time.
#define BX_SCAN_TILE_ROWS 16

struct SelectiveScanBackwardPush {
  WeightAddress dt_weight;  // [E], when DT_WEIGHT_FORM is not BX_FORM_ABSENT
  WeightAddress dt_bias;    // [E], float32
  WeightAddress a_log;      // [E, N]
  WeightAddress skip;       // [E], float32
  uint d_inner;             // E
  uint params_width;        // the number of columns of params
  uint h_slot;              // strides of h and of the carry are in words
  uint h_version;
  uint carry_slot;
  uint carry_version;
  uint n_rows;      // of the bucket
  uint first_sums;  // where the sums begin in the work array, in elements
  float dt_min;
  float dt_max;
};

struct SelectiveScanBcPush {
  uvec2 b_norm;  // [N], float32, when HAS_NORMS
  uvec2 c_norm;
  uint d_state;
  uint params_width;
  uint first_b;  // the column of params where B begins
  float eps;
};

struct SelectiveScanParamsPush {
  uvec2 b_norm;
  uvec2 c_norm;
  uint d_state;
  uint params_width;
  uint first_b;
  uint n_rows;    // of the bucket
  uint n_groups;  // workgroups of selective_scan_backward
  uint first_sums;
  float eps;
};

// Specialization constants of selective_scan_backward.
#define BX_SELECTIVE_SCAN_BACKWARD_GROUP_SIZE 0
#define BX_SELECTIVE_SCAN_BACKWARD_D_STATE 1
#define BX_SELECTIVE_SCAN_BACKWARD_A_LOG_FORM 2
#define BX_SELECTIVE_SCAN_BACKWARD_DT_WEIGHT_FORM 3  // BX_FORM_ABSENT: the time step comes from dt
#define BX_SELECTIVE_SCAN_BACKWARD_LANES 4           // lanes per channel: a power of two, up to 32

// Specialization constants of selective_scan_bc.
#define BX_SELECTIVE_SCAN_BC_GROUP_SIZE 0
#define BX_SELECTIVE_SCAN_BC_HAS_NORMS 1

// Specialization constants of selective_scan_params.
#define BX_SELECTIVE_SCAN_PARAMS_GROUP_SIZE 0
#define BX_SELECTIVE_SCAN_PARAMS_HAS_NORMS 1
#define BX_SELECTIVE_SCAN_PARAMS_HAS_RATE 2  // the last column of params is r

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
