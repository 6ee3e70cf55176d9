// y[r, c] = x[r, c] + gates[r, column] * b[r, c]
//
// Bindings: x, b [R, n_cols]; gates [R, n_gates]; y [R, n_cols]
// An invocation computes one element. Grid: x over columns, y over valid rows.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_scalar_block_layout : require
#include "params/add_gated.h"

layout(local_size_x_id = BX_ADD_GATED_GROUP_SIZE) in;

layout(set = 0, binding = 0, scalar) readonly restrict buffer X { float x[]; };
layout(set = 0, binding = 1, scalar) readonly restrict buffer B { float b[]; };
layout(set = 0, binding = 2, scalar) readonly restrict buffer Gates { float gates[]; };
layout(set = 0, binding = 3, scalar) writeonly restrict buffer Y { float y[]; };
layout(push_constant, scalar) uniform Push { AddGatedPush p; };

void main() {
  const uint c = gl_GlobalInvocationID.x;
  const uint at = gl_WorkGroupID.y * p.n_cols + c;
  if (c < p.n_cols) y[at] = x[at] + gates[gl_WorkGroupID.y * p.n_gates + p.column] * b[at];
}
