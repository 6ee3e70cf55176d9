// g_x = rho * norm * g_y - x * rho^3 * mean(norm * g_y * x),  rho = 1 / sqrt(mean(x^2) + eps)
// over the first n_cols columns; the gradient of the others is 0
//
// Bindings: x [R, x_width]; g_y [R, n_cols]; g_x [R, x_width]
// A workgroup computes one row. Grid: x over valid rows. Requires whole subgroups.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_scalar_block_layout : require
#include "lib/group_sum.glsl"
#include "lib/weight.glsl"
#include "params/rms_norm_backward.h"

layout(local_size_x_id = BX_RMS_NORM_BACKWARD_GROUP_SIZE) in;

layout(set = 0, binding = 0, scalar) readonly restrict buffer X { float x[]; };
layout(set = 0, binding = 1, scalar) readonly restrict buffer GY { float g_y[]; };
layout(set = 0, binding = 2, scalar) writeonly restrict buffer GX { float g_x[]; };
layout(push_constant, scalar) uniform Push { RmsNormBackwardPush p; };

void main() {
  const uint from = gl_WorkGroupID.x * p.x_width;
  const uint from_y = gl_WorkGroupID.x * p.n_cols;
  float squares = 0.0;
  float products = 0.0;
  for (uint c = gl_LocalInvocationID.x; c < p.n_cols; c += gl_WorkGroupSize.x) {
    const float value = x[from + c];
    squares += value * value;
    products += Floats(p.norm.data).at[c] * g_y[from_y + c] * value;
  }
  const float rho = 1.0 / sqrt(group_sum(squares) / float(p.n_cols) + p.eps);
  const float mean = group_sum(products) / float(p.n_cols);
  const float along = rho * rho * rho * mean;
  for (uint c = gl_LocalInvocationID.x; c < p.x_width; c += gl_WorkGroupSize.x)
    g_x[from + c] = c < p.n_cols ? Floats(p.norm.data).at[c] * g_y[from_y + c] * rho -
                                       x[from + c] * along
                                 : 0.0;
}
