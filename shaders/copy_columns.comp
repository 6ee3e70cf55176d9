// y[r, c] = x[r, x_first + c]
//
// Bindings: x [R, x_width]; y [R, n_cols]
// An invocation copies one element. Grid: x over columns, y over rows.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_scalar_block_layout : require
#include "params/copy_columns.h"

layout(local_size_x_id = BX_COPY_COLUMNS_GROUP_SIZE) in;

layout(set = 0, binding = 0, scalar) readonly restrict buffer X { float x[]; };
layout(set = 0, binding = 1, scalar) writeonly restrict buffer Y { float y[]; };
layout(push_constant, scalar) uniform Push { CopyColumnsPush p; };

void main() {
  const uint c = gl_GlobalInvocationID.x;
  const uint row = gl_WorkGroupID.y;
  if (c < p.n_cols) y[row * p.n_cols + c] = x[row * p.x_width + p.x_first + c];
}
