// The selective scan of whole segments of a few rows, and the product in front that gives the time
// steps:
//   dt[r, e] = sum_c w[e, c] * n(params[r, :dt_rank])[c]
//   n(v)[c] = norm[c] * v[c] / sqrt(mean(v^2) + eps), or v[c] without a norm
// lib/selective_scan.glsl has the formula of the scan and bindings 1 to 6, except 3.
//
// Bindings: step; then bindings 1 to 6, where 3 is dt [R, E], written
// A workgroup first computes dt of its channels, for the rows of its segment. Then it works as
// selective_scan does. Requires whole subgroups.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/weight.glsl"
#include "params/mat_vec.h"
#include "params/selective_scan_dt.h"

layout(constant_id = BX_SELECTIVE_SCAN_DT_FORM) const uint kDtForm = 0;
layout(constant_id = BX_SELECTIVE_SCAN_DT_HAS_NORM) const bool kHasNorm = false;
layout(constant_id = BX_SELECTIVE_SCAN_DT_CODES) const uint kCodes = BX_CODES_AS_BYTES;
layout(constant_id = BX_SELECTIVE_SCAN_DT_ROWS) const uint kRows = 1;

layout(local_size_x_id = BX_SELECTIVE_SCAN_GROUP_SIZE) in;

#define SCAN_PUSH SelectiveScanDtPush
#define SCAN_RAW_DT(row) dt_of_group[(row) * (gl_WorkGroupSize.x / kLanes) + channel - first_channel]
uint first_channel;  // of the workgroup
// Time steps of the rows of the step, [ROWS, channels of the workgroup]. A lane has at most one channel.
shared float dt_of_group[kRows * gl_WorkGroupSize.x];
#include "lib/scan_segment.glsl"

layout(set = 0, binding = 3, scalar) writeonly restrict buffer DtOut { float dt_out[]; };

const uint kOuts = 4;
const uint kOneRow = 1;
#define CODEBOOKS FORM_HAS_CODEBOOK(kDtForm)
#define MV_CODES kCodes
#define MV_OUTS kOuts
#define MV_ROWS kOneRow
#define NORM_ROWS kOneRow
#define NORM_DATA p.dt_norm
#include "lib/norm_x.glsl"
vec4 params4_at(const uint at) {
  return vec4(params[at], params[at + 1], params[at + 2], params[at + 3]);
}
#define MV_X(at, c) norm_x(0, c, params[(at) + (c)])
#define MV_X4(at, i) norm_x4(0, i, params4_at((at) + 4 * (i)))
#include "lib/mat_vec.glsl"

// Computes dt of channels first, first + 1, ..., in a row of the step.
void compute_dt(const uint row, const uint first) {
  clear_norm();
  mat_vec_clear();
  mat_vec_add(p.dt_weight, kDtForm, 0, p.dt_rank, first, p.d_inner, row * p.params_width, 0);
  norm_sum();
  mat_vec_scale(0, norm_factor(0, p.dt_rank, p.eps));
  mat_vec_sum();
  for (uint j = 0; j < MV_SUMS_OF_LANE; ++j) {
    const uint i = mat_vec_sum_index(j);
    if (i >= kOuts || first + i >= p.d_inner) continue;
    dt_of_group[row * (gl_WorkGroupSize.x / kLanes) + first + i - first_channel] = mv_acc[j];
    dt_out[row * p.d_inner + first + i] = mv_acc[j];
  }
}

void main() {
  const SegmentWords segment = step_.segments[gl_WorkGroupID.y];
  const uint n_channels = gl_WorkGroupSize.x / kLanes;
  first_channel = gl_WorkGroupID.x * n_channels;
  load_codebook(p.dt_weight, kDtForm, 0);
  codebook_barrier();
  for (uint r = 0; r < segment.n_rows; ++r)
    for (uint i = gl_SubgroupID * kOuts; i < n_channels; i += gl_NumSubgroups * kOuts)
      if (first_channel + i < p.d_inner) compute_dt(segment.first_row + r, first_channel + i);
  barrier();
  scan_segment(segment);
}
