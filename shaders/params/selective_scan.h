// Parameters of the shaders of the selective scan. selective_scan computes whole segments,
// selective_scan_chunk computes chunks, and selective_scan_carry computes the states between
// chunks.
#ifndef BX_PARAMS_SELECTIVE_SCAN_H
#define BX_PARAMS_SELECTIVE_SCAN_H
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

struct SelectiveScanPush {
  WeightAddress dt_weight;  // [E], when DT_WEIGHT_FORM is not BX_FORM_ABSENT
  WeightAddress dt_bias;    // [E], float32
  WeightAddress a_log;      // [E, N]
  WeightAddress skip;       // [E], float32
  uvec2 b_norm;             // [N], float32, when HAS_NORMS
  uvec2 c_norm;
  uint d_inner;             // E
  uint params_width;        // the number of columns of params
  uint first_b;             // the column of params where B begins
  uint slot_stride;         // strides of h are in words
  uint version_stride;
  uint chunk_rows;  // unused for whole segments
  float dt_min;
  float dt_max;
  float eps;  // of the norms of B and C
};

struct SelectiveScanCarryPush {
  WeightAddress a_log;
  uint d_inner;
  uint d_state;
  uint chunk_rows;
};

// Specialization constants of selective_scan and selective_scan_chunk. Only selective_scan_chunk
// has CHUNK_REPLAY.
#define BX_SELECTIVE_SCAN_GROUP_SIZE 0
#define BX_SELECTIVE_SCAN_D_STATE 1     // N
#define BX_SELECTIVE_SCAN_LANES 2       // lanes per channel: a power of two
#define BX_SELECTIVE_SCAN_ROWS_AHEAD 3  // rows of which B and C are loaded at once: 1, 2 or 4
#define BX_SELECTIVE_SCAN_A_LOG_FORM 4
#define BX_SELECTIVE_SCAN_DT_WEIGHT_FORM 5  // BX_FORM_ABSENT: the time step comes from dt
#define BX_SELECTIVE_SCAN_HAS_NORMS 6       // whether B and C are normalized
#define BX_SELECTIVE_SCAN_CHUNK_REPLAY 7

// Specialization constants of selective_scan_carry.
#define BX_SELECTIVE_SCAN_CARRY_GROUP_SIZE 0
#define BX_SELECTIVE_SCAN_CARRY_A_LOG_FORM 1

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
