// sums[first + g] = sum of x[i]^2 over block g, which has BX_SUM_SQUARES_BLOCK elements
//
// Bindings: x [n]; sums [.], as vec2 of lib/double_sum.glsl
// A workgroup computes one block. Grid: x over blocks.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_scalar_block_layout : require
#include "lib/double_sum.glsl"
#include "params/sum_squares.h"

layout(local_size_x_id = BX_SUM_SQUARES_GROUP_SIZE) in;

layout(set = 0, binding = 0, scalar) readonly restrict buffer X { float x[]; };
layout(set = 0, binding = 1, scalar) writeonly restrict buffer Sums { vec2 sums[]; };
layout(push_constant, scalar) uniform Push { SumSquaresPush p; };

void main() {
  const uint begin = gl_WorkGroupID.x * BX_SUM_SQUARES_BLOCK;
  const uint end = min(begin + BX_SUM_SQUARES_BLOCK, p.n);
  vec2 sum = vec2(0.0);
  for (uint i = begin + gl_LocalInvocationID.x; i < end; i += gl_WorkGroupSize.x)
    sum = double_sum(sum, double_square(x[i]));
  const vec2 all = double_group_sum(gl_WorkGroupSize.x, sum);
  if (gl_LocalInvocationID.x == 0) sums[p.first + gl_WorkGroupID.x] = all;
}
