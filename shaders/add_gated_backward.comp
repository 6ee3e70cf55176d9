// g_b[r, c] = gates[r, column] * g_y[r, c]
// g_gates[r, column] = dot(g_y[r], b[r]), 0 in other columns
//
// Bindings: b [R, n_cols]; gates [R, n_gates]; g_y, g_b [R, n_cols]; g_gates [R, n_gates]
// A workgroup computes one row. Grid: x over valid rows. Requires whole subgroups.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_scalar_block_layout : require
#include "lib/group_sum.glsl"
#include "params/add_gated_backward.h"

layout(local_size_x_id = BX_ADD_GATED_BACKWARD_GROUP_SIZE) in;

layout(set = 0, binding = 0, scalar) readonly restrict buffer B { float b[]; };
layout(set = 0, binding = 1, scalar) readonly restrict buffer Gates { float gates[]; };
layout(set = 0, binding = 2, scalar) readonly restrict buffer GY { float g_y[]; };
layout(set = 0, binding = 3, scalar) writeonly restrict buffer GB { float g_b[]; };
layout(set = 0, binding = 4, scalar) writeonly restrict buffer GGates { float g_gates[]; };
layout(push_constant, scalar) uniform Push { AddGatedBackwardPush p; };

void main() {
  const uint row = gl_WorkGroupID.x;
  const float gate = gates[row * p.n_gates + p.column];
  float sum = 0.0;
  for (uint c = gl_LocalInvocationID.x; c < p.n_cols; c += gl_WorkGroupSize.x) {
    const uint at = row * p.n_cols + c;
    sum += g_y[at] * b[at];
    g_b[at] = gate * g_y[at];
  }
  const float all = group_sum(sum);
  for (uint c = gl_LocalInvocationID.x; c < p.n_gates; c += gl_WorkGroupSize.x)
    g_gates[row * p.n_gates + c] = c == p.column ? all : 0.0;
}
