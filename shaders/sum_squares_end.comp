// result = the sum of n sums
//
// Bindings: sums [n], as vec2 of lib/double_sum.glsl; result [1]
// Grid: one workgroup.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_scalar_block_layout : require
#include "lib/double_sum.glsl"
#include "params/sum_squares.h"

layout(local_size_x_id = BX_SUM_SQUARES_END_GROUP_SIZE) in;

layout(set = 0, binding = 0, scalar) readonly restrict buffer Sums { vec2 sums[]; };
layout(set = 0, binding = 1, scalar) writeonly restrict buffer Result { float result[]; };
layout(push_constant, scalar) uniform Push { SumSquaresPush p; };

void main() {
  vec2 sum = vec2(0.0);
  for (uint i = gl_LocalInvocationID.x; i < p.n; i += gl_WorkGroupSize.x)
    sum = double_sum(sum, sums[i]);
  const vec2 all = double_group_sum(gl_WorkGroupSize.x, sum);
  if (gl_LocalInvocationID.x == 0) result[0] = all.x + all.y;
}
