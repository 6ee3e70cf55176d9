// y[r] = store[row of r]
// The row of r is store_row + r, or the row of output r.
//
// Bindings: step; store [., n_cols]; y [R, n_cols]
// An invocation copies one element of 4 bytes, float or integer. Grid: x over columns, y over valid
// rows.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/step.glsl"
#include "params/load_rows.h"

layout(local_size_x_id = BX_LOAD_ROWS_GROUP_SIZE) in;
layout(constant_id = BX_LOAD_ROWS_OF_OUTPUTS) const bool kOfOutputs = false;

layout(set = 0, binding = 1, scalar) readonly restrict buffer Store { uint store[]; };
layout(set = 0, binding = 2, scalar) writeonly restrict buffer Y { uint y[]; };
layout(push_constant, scalar) uniform Push { LoadRowsPush p; };

void main() {
  const uint c = gl_GlobalInvocationID.x;
  const uint r = gl_WorkGroupID.y;
  const uint row = kOfOutputs ? step_.output_rows[r] : step_.store_row + r;
  if (c < p.n_cols && row >= p.first_row && row < p.end_row)
    y[r * p.n_cols + c] = store[(row - p.first_row) * p.n_cols + c];
}
