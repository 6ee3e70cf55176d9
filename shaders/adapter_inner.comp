// u[r, k] = sum_i x[r, i] * A[i, k]
//
// Bindings: x [R, n_in]; A [n_in, rank]; u [R, rank]
// A workgroup computes BX_ADAPTER_RANKS elements of one row. Grid: x over valid rows, y over these
// parts of a row. Requires whole subgroups.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_scalar_block_layout : require
#include "params/adapter.h"

layout(local_size_x_id = BX_ADAPTER_INNER_GROUP_SIZE) in;
#include "lib/rank_sums.glsl"

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
  add_ranks(sums);
  const uint n_ranks = min(BX_ADAPTER_RANKS, p.rank - first);
  for (uint k = gl_LocalInvocationID.x; k < n_ranks; k += gl_WorkGroupSize.x)
    u[row * p.rank + first + k] = rank_sum(k);
}
