// u[r, e] = silu(bias[e] + sum_k taps[e, k] * v[r - (K-1) + k, e])
// Rows of v before the segment come from the tail, which is the state of the op.
//
// Bindings: step; v [R, v_width]; tail [K-1, E], oldest row first (any buffer when K is 1); u [R, E]
// A lane computes one channel (grid x) of one row (grid y).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/math.glsl"
#include "lib/step.glsl"
#include "lib/weight.glsl"
#include "params/ssm_in.h"

layout(local_size_x_id = BX_SSM_CONV_GROUP_SIZE) in;
layout(constant_id = BX_SSM_CONV_FORM) const uint kForm = 0;
layout(constant_id = BX_SSM_CONV_HAS_BIAS) const bool kHasBias = true;

layout(set = 0, binding = 1, scalar) readonly buffer V { float v[]; };
layout(set = 0, binding = 2, scalar) readonly buffer Tail { float tail[]; };
layout(set = 0, binding = 3, scalar) restrict buffer U { float u[]; };
layout(push_constant, scalar) uniform Push { SsmConvPush p; };

#include "lib/conv_rows.glsl"

void main() {
  const uint e = gl_GlobalInvocationID.x;
  const uint row = gl_WorkGroupID.y;
  if (e >= p.d_inner) return;
  const uint g = segment_of(row);
  const uint first = row - step_.segments[g].first_row;
  float sum = kHasBias ? Floats(p.conv_bias.data).at[e] : 0.0;
  for (uint k = 0; k < p.d_conv; ++k)
    sum += weight_at(p.conv_weight, kForm, e * p.d_conv + k) * conv_row(g, first + k, e);
  u[row * p.d_inner + e] = silu(sum);
}
