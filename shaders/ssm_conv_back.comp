// g_v[r, e] = sum_k taps[e, k] * g_a[r + K-1-k, e]
// Rows of g_a behind the segment come from the carry, or are 0 if the segment keeps no state.
// g_vz[r] = g_v[r], then g_z[r]
//
// Bindings: step; g_a [R, E]; g_z [R, E]; carry [K-1, E] (any buffer when K is 1); g_vz [R, 2E]
// A lane computes one channel (grid x) of one row (grid y).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/step.glsl"
#include "lib/weight.glsl"
#include "params/ssm_conv_backward.h"

layout(local_size_x_id = BX_SSM_CONV_BACK_GROUP_SIZE) in;
layout(constant_id = BX_SSM_CONV_BACK_FORM) const uint kForm = 0;

layout(set = 0, binding = 1, scalar) readonly buffer GA { float g_a[]; };
layout(set = 0, binding = 2, scalar) readonly buffer GZ { float g_z[]; };
layout(set = 0, binding = 3, scalar) readonly buffer Carry { float carry[]; };
layout(set = 0, binding = 4, scalar) writeonly buffer GVZ { float g_vz[]; };
layout(push_constant, scalar) uniform Push { SsmConvBackPush p; };

void main() {
  const uint e = gl_GlobalInvocationID.x;
  const uint row = gl_WorkGroupID.y;
  if (e >= p.d_inner) return;
  const SegmentWords segment = step_.segments[segment_of(row)];
  const uint end = segment.first_row + segment.n_rows;
  const uint base =
      segment.slot * p.slot_stride + segment.write_version % 2 * p.version_stride + e;
  float sum = 0.0;
  for (uint k = 0; k < p.d_conv; ++k) {
    const uint from = row + p.d_conv - 1 - k;
    float g = 0.0;
    if (from < end)
      g = g_a[from * p.d_inner + e];
    else if (segment.keeps_state != 0)
      g = carry[base + (from - end) * p.d_inner];
    sum += weight_at(p.conv_weight, kForm, e * p.d_conv + k) * g;
  }
  g_vz[row * 2 * p.d_inner + e] = sum;
  g_vz[(row * 2 + 1) * p.d_inner + e] = g_z[row * p.d_inner + e];
}
