// g_act[r, s] = gates[r, s] * a[r, s];  g_gates[r, s] = dot(a[r, s], act[r, s]), and 0 for s = top_k
//
// Bindings: a, act [R, top_k, I]; gates [R, top_k + 1]; g_act [R, top_k, I]; g_gates [R, top_k + 1]
// A workgroup computes one slot of one row. Grid: x over slots, y over rows. Requires whole
// subgroups.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_scalar_block_layout : require
#include "lib/group_sum.glsl"
#include "params/moe_back.h"

layout(local_size_x_id = BX_MOE_BACK_GATES_GROUP_SIZE) in;

layout(set = 0, binding = 0, scalar) readonly restrict buffer A { float a[]; };
layout(set = 0, binding = 1, scalar) readonly restrict buffer Act { float act[]; };
layout(set = 0, binding = 2, scalar) readonly restrict buffer Gates { float gates[]; };
layout(set = 0, binding = 3, scalar) writeonly restrict buffer GAct { float g_act[]; };
layout(set = 0, binding = 4, scalar) writeonly restrict buffer GGates { float g_gates[]; };
layout(push_constant, scalar) uniform Push { MoeBackGatesPush p; };

void main() {
  const uint slot = gl_WorkGroupID.x;
  const uint row = gl_WorkGroupID.y;
  const uint first = (row * p.top_k + slot) * p.intermediate;
  const uint at = row * (p.top_k + 1) + slot;
  const float gate = gates[at];
  float sum = 0.0;
  for (uint i = gl_LocalInvocationID.x; i < p.intermediate; i += gl_WorkGroupSize.x) {
    sum += a[first + i] * act[first + i];
    g_act[first + i] = gate * a[first + i];
  }
  sum = group_sum(sum);
  if (gl_LocalInvocationID.x != 0) return;
  g_gates[at] = sum;
  if (slot == 0) g_gates[row * (p.top_k + 1) + p.top_k] = 0.0;
}
