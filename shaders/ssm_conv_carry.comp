// Computes the new carry of each segment that does not begin its sequence:
//   new carry = the first K-1 rows of (the segment's rows of g_a, then the rows of the old carry)
//
// Bindings: step; g_a [R, E]; carry [K-1, E], K > 1
// A lane writes the carry of one channel (grid x) of one segment (grid y). The new carry may
// overwrite the old one. This shader is separate from ssm_conv_back, because other workgroups of
// ssm_conv_back could still be reading the old carry.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/step.glsl"
#include "params/ssm_conv_backward.h"

layout(local_size_x_id = BX_SSM_CONV_CARRY_GROUP_SIZE) in;

layout(set = 0, binding = 1, scalar) readonly restrict buffer GA { float g_a[]; };
layout(set = 0, binding = 2, scalar) restrict buffer Carry { float carry[]; };
layout(push_constant, scalar) uniform Push { SsmConvCarryPush p; };

void main() {
  const uint e = gl_GlobalInvocationID.x;
  const SegmentWords segment = step_.segments[gl_WorkGroupID.y];
  if (e >= p.d_inner || segment.position == 0) return;
  const uint slot = segment.slot * p.slot_stride + e;
  const uint from = slot + segment.write_version % 2 * p.version_stride;
  const uint to = slot + segment.read_version % 2 * p.version_stride;
  // Rows are written in descending order. If row j of the new carry comes from the old carry, it is
  // row j - n_rows there, which has not been overwritten yet.
  for (uint j = p.d_conv - 1; j-- > 0;) {
    float g = 0.0;
    if (j < segment.n_rows)
      g = g_a[(segment.first_row + j) * p.d_inner + e];
    else if (segment.keeps_state != 0)
      g = carry[from + (j - segment.n_rows) * p.d_inner];
    carry[to + j * p.d_inner] = g;
  }
}
