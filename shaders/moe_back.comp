// y[r, s, c] = sum_o g[r, s, o] * w[e, o, c],  e = experts[r, s]
// g may also have one row for all slots of r. With ADDS, the sum is added to y.
//
// Bindings: g [R, g_per_row, n_out]; experts [R, top_k]; y [R, top_k, n_cols]
// An invocation computes one element. Grid: x over columns, y over slots, z over rows. An invalid
// expert index counts as the last expert.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/weight.glsl"
#include "params/moe_back.h"

layout(local_size_x_id = BX_MOE_BACK_GROUP_SIZE) in;
layout(constant_id = BX_MOE_BACK_FORM) const uint kForm = 0;
layout(constant_id = BX_MOE_BACK_ADDS) const bool kAdds = false;

layout(set = 0, binding = 0, scalar) readonly restrict buffer G { float g[]; };
layout(set = 0, binding = 1, scalar) readonly restrict buffer Experts { uint experts[]; };
layout(set = 0, binding = 2, scalar) restrict buffer Y { float y[]; };
layout(push_constant, scalar) uniform Push { MoeBackPush p; };

void main() {
  const uint c = gl_GlobalInvocationID.x;
  if (c >= p.n_cols) return;
  const uint slot = gl_WorkGroupID.y;
  const uint row = gl_WorkGroupID.z;
  const uint pair = row * p.top_k + slot;
  const uint from = (p.g_per_row == 1 ? row : pair) * p.n_out;
  const uint first = min(experts[pair], p.n_experts - 1) * p.n_out;
  float sum = kAdds ? y[pair * p.n_cols + c] : 0.0;
  for (uint o = 0; o < p.n_out; ++o)
    sum += g[from + o] * weight_at(p.weight, kForm, (first + o) * p.n_cols + c);
  y[pair * p.n_cols + c] = sum;
}
