// y[r, c] = norm[c] * x[s(r), c] / sqrt(mean(x[s(r), :n_cols]^2) + eps),  c < n_cols
// s(r) is source_of() in lib/product_rows.glsl.
//
// Bindings: step; x [., x_width]; y [., n_cols]
// A workgroup computes one row. Grid: x over valid rows. Requires whole subgroups.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/group_sum.glsl"
#include "lib/product_rows.glsl"
#include "lib/weight.glsl"
#include "params/rms_norm.h"

layout(local_size_x_id = BX_RMS_NORM_GROUP_SIZE) in;
layout(constant_id = BX_RMS_NORM_SOURCE) const uint kSource = BX_ROWS_OF_TOKENS;

layout(set = 0, binding = 1, scalar) readonly restrict buffer X { float x[]; };
layout(set = 0, binding = 2, scalar) writeonly restrict buffer Y { float y[]; };
layout(push_constant, scalar) uniform Push { RmsNormPush p; };

void main() {
  const uint row = gl_WorkGroupID.x;
  const uint from = source_of(kSource, row) * p.x_width;
  float sum = 0.0;
  for (uint c = gl_LocalInvocationID.x; c < p.n_cols; c += gl_WorkGroupSize.x)
    sum += x[from + c] * x[from + c];
  const float scale = 1.0 / sqrt(group_sum(sum) / float(p.n_cols) + p.eps);
  for (uint c = gl_LocalInvocationID.x; c < p.n_cols; c += gl_WorkGroupSize.x)
    y[row * p.n_cols + c] = x[from + c] * scale * Floats(p.norm.data).at[c];
}
