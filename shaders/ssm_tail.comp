// Computes the tail of each segment that keeps its state, after a step:
//   new tail = the last K-1 rows of (the rows of the old tail, then the segment's rows of v)
//
// Bindings: step; v [R, v_width]; tail (the state) [K-1, E], oldest row first, K > 1
// A lane writes the tail of one channel (grid x) of one segment (grid y). The new tail may
// overwrite the old tail. This shader is separate from ssm_conv, because other workgroups of
// ssm_conv could still be reading the old tail.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/step.glsl"
#include "params/ssm_in.h"

layout(local_size_x_id = BX_SSM_TAIL_GROUP_SIZE) in;

layout(set = 0, binding = 1, scalar) readonly restrict buffer V { float v[]; };
layout(set = 0, binding = 2, scalar) restrict buffer Tail { float tail[]; };
layout(push_constant, scalar) uniform Push { SsmTailPush p; };

#include "lib/conv_rows.glsl"

void main() {
  const uint e = gl_GlobalInvocationID.x;
  const uint g = gl_WorkGroupID.y;
  if (e >= p.d_inner || step_.segments[g].keeps_state == 0) return;
  const uint to = tail_base(step_.segments[g].slot, step_.segments[g].write_version);
  // Rows are copied in ascending order. If row j of the new tail comes from the old tail, it is row
  // j + n_rows there, which has not been overwritten yet.
  for (uint j = 0; j + 1 < p.d_conv; ++j)
    tail[to + j * p.d_inner + e] = conv_row(g, step_.segments[g].n_rows + j, e);
}
