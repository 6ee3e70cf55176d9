// g_x[r, i] = sum_k t[r, k] * A[i, k]
//
// Bindings: t [R, rank]; A [n_in, rank]; g_x [R, n_in]
// An invocation computes one element. Grid: x over columns, y over valid rows.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_scalar_block_layout : require
#include "params/adapter.h"

layout(local_size_x_id = BX_ADAPTER_BACKWARD_X_GROUP_SIZE) in;

layout(set = 0, binding = 0, scalar) readonly restrict buffer T { float t[]; };
layout(set = 0, binding = 1, scalar) readonly restrict buffer A { float a[]; };
layout(set = 0, binding = 2, scalar) writeonly restrict buffer GX { float g_x[]; };
layout(push_constant, scalar) uniform Push { AdapterInnerPush p; };

void main() {
  const uint row = gl_WorkGroupID.y;
  const uint i = gl_GlobalInvocationID.x;
  if (i < p.n_in) {
    float sum = 0.0;
    for (uint k = 0; k < p.rank; ++k) sum += t[row * p.rank + k] * a[p.a + i * p.rank + k];
    g_x[row * p.n_in + i] = sum;
  }
}
