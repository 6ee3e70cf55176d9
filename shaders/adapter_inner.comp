// u[r, k] = sum_i x[r, i] * A[i, k]
//
// Bindings: x [R, n_in]; A [n_in, rank]; u [R, rank]
// A workgroup computes BX_ADAPTER_RANKS elements of one row. Grid: x over valid rows, y over these
// parts of a row. Requires whole subgroups.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_scalar_block_layout : require
#include "lib/group_sum.glsl"
#include "params/adapter.h"

#extension GL_EXT_control_flow_attributes : require

layout(local_size_x_id = BX_ADAPTER_INNER_GROUP_SIZE) in;

layout(set = 0, binding = 0, scalar) readonly restrict buffer X { float x[]; };
layout(set = 0, binding = 1, scalar) readonly restrict buffer A { float a[]; };
layout(set = 0, binding = 2, scalar) writeonly restrict buffer U { float u[]; };
layout(push_constant, scalar) uniform Push { AdapterInnerPush p; };

void main() {
  const uint row = gl_WorkGroupID.x;
  const uint first = gl_WorkGroupID.y * BX_ADAPTER_RANKS;
  float sums[BX_ADAPTER_RANKS];
  [[unroll]] for (uint k = 0; k < BX_ADAPTER_RANKS; ++k) sums[k] = 0.0;
  for (uint i = gl_LocalInvocationID.x; i < p.n_in; i += gl_WorkGroupSize.x) {
    const float value = x[row * p.n_in + i];
    [[unroll]] for (uint k = 0; k < BX_ADAPTER_RANKS; ++k)
      if (first + k < p.rank) sums[k] += value * a[p.a + i * p.rank + first + k];
  }
  [[unroll]] for (uint k = 0; k < BX_ADAPTER_RANKS; ++k) {
    const float all = group_sum(sums[k]);
    if (gl_LocalInvocationID.x == 0 && first + k < p.rank) u[row * p.rank + first + k] = all;
  }
}
