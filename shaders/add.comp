// y = a + b
//
// Bindings: a, b, y [R, n_cols]
// An invocation computes one element. Grid: x over columns, y over valid rows.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_scalar_block_layout : require
#include "params/add.h"

layout(local_size_x_id = BX_ADD_GROUP_SIZE) in;

layout(set = 0, binding = 0, scalar) readonly restrict buffer A { float a[]; };
layout(set = 0, binding = 1, scalar) readonly restrict buffer B { float b[]; };
layout(set = 0, binding = 2, scalar) writeonly restrict buffer Y { float y[]; };
layout(push_constant, scalar) uniform Push { AddPush p; };

void main() {
  const uint c = gl_GlobalInvocationID.x;
  const uint at = gl_WorkGroupID.y * p.n_cols + c;
  if (c < p.n_cols) y[at] = a[at] + b[at];
}
