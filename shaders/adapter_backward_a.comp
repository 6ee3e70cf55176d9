// g_A[i, k] += sum_r x[r, i] * t[r, k], in the order of the rows
//
// Bindings: step; x [R, n_in]; t [R, rank]; g_A [n_in, rank]
// An invocation computes BX_ADAPTER_RANKS elements of one row of g_A. Grid: x over rows of g_A, y
// over these parts of a row.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/step.glsl"
#include "params/adapter.h"

#extension GL_EXT_control_flow_attributes : require

layout(local_size_x_id = BX_ADAPTER_BACKWARD_A_GROUP_SIZE) in;
layout(constant_id = BX_ADAPTER_BACKWARD_A_OF_OUTPUTS) const bool kOfOutputs = false;

layout(set = 0, binding = 1, scalar) readonly restrict buffer X { float x[]; };
layout(set = 0, binding = 2, scalar) readonly restrict buffer T { float t[]; };
layout(set = 0, binding = 3, scalar) restrict buffer GA { float g_a[]; };
layout(push_constant, scalar) uniform Push { AdapterInnerPush p; };

void main() {
  const uint i = gl_GlobalInvocationID.x;
  const uint first = gl_WorkGroupID.y * BX_ADAPTER_RANKS;
  const uint n_rows = kOfOutputs ? step_.n_outputs : step_.n_rows;
  if (i < p.n_in) {
    float sums[BX_ADAPTER_RANKS];
    [[unroll]] for (uint k = 0; k < BX_ADAPTER_RANKS; ++k) sums[k] = 0.0;
    for (uint row = 0; row < n_rows; ++row) {
      const float value = x[row * p.n_in + i];
      [[unroll]] for (uint k = 0; k < BX_ADAPTER_RANKS; ++k)
        if (first + k < p.rank) sums[k] += value * t[row * p.rank + first + k];
    }
    [[unroll]] for (uint k = 0; k < BX_ADAPTER_RANKS; ++k)
      if (first + k < p.rank) g_a[p.a + i * p.rank + first + k] += sums[k];
  }
}
