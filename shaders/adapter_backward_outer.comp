// t[r, k] = scale * sum_o g_base[r, o] * B[k, o],  g_base[r, o] = (m[o] / n[o]) * g_y[r, o]
// Without DoRA, the factor m / n is 1 and g_base is not written. The factor is 1 where n is 0.
//
// Bindings: g_y [R, n_out]; B [rank, n_out]; m [n_out]; norms [n_out]; t [R, rank];
// g_base [R, n_out] (or t again)
// A workgroup computes BX_ADAPTER_RANKS elements of one row of t. Grid: x over valid rows, y over
// these parts of a row. Requires whole subgroups.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "params/adapter.h"
#extension GL_EXT_scalar_block_layout : require

layout(local_size_x_id = BX_ADAPTER_BACKWARD_OUTER_GROUP_SIZE) in;
#include "lib/rank_sums.glsl"
layout(constant_id = BX_ADAPTER_BACKWARD_OUTER_IS_DORA) const bool kIsDora = false;

layout(set = 0, binding = 0, scalar) readonly restrict buffer GY { float g_y[]; };
layout(set = 0, binding = 1, scalar) readonly restrict buffer B { float b[]; };
layout(set = 0, binding = 2, scalar) readonly restrict buffer M { float m[]; };
layout(set = 0, binding = 3, scalar) readonly restrict buffer Norms { float norms[]; };
layout(set = 0, binding = 4, scalar) writeonly buffer T { float t[]; };
layout(set = 0, binding = 5, scalar) writeonly buffer GBase { float g_base[]; };
layout(push_constant, scalar) uniform Push { AdapterOuterPush p; };

// m / n, which is 1 for LoRA and where n is 0.
float factor_of(const uint o) {
  if (!kIsDora) return 1.0;
  const float n = norms[p.norm + o];
  return n == 0.0 ? 1.0 : m[p.m + o] / n;
}

void main() {
  const uint row = gl_WorkGroupID.x;
  const uint first = gl_WorkGroupID.y * BX_ADAPTER_RANKS;
  float sums[BX_ADAPTER_RANKS];
  [[unroll]] for (uint k = 0; k < BX_ADAPTER_RANKS; ++k) sums[k] = 0.0;
  for (uint o = gl_LocalInvocationID.x; o < p.n_out; o += gl_WorkGroupSize.x) {
    const float g = factor_of(o) * g_y[row * p.n_out + o];
    if (kIsDora && first == 0) g_base[row * p.n_out + o] = g;
    [[unroll]] for (uint k = 0; k < BX_ADAPTER_RANKS; ++k)
      if (first + k < p.rank) sums[k] += g * b[p.b + (first + k) * p.n_out + o];
  }
  add_ranks(sums);
  const uint n_ranks = min(BX_ADAPTER_RANKS, p.rank - first);
  for (uint k = gl_LocalInvocationID.x; k < n_ranks; k += gl_WorkGroupSize.x)
    t[row * p.rank + first + k] = p.scale * rank_sum(k);
}
