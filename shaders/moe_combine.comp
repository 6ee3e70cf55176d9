// y[r, o] = residual[r, o] + sum_s gates[r, s] * products[r, s, o]
//
// Bindings: products [R, slots, D]; gates [R, top_k + 1]; residual [R, D]; y [R, D]
// An invocation computes one element of y and adds the slots in order. Grid: x over D, y over rows.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_scalar_block_layout : require
#include "params/moe_combine.h"

layout(local_size_x_id = BX_MOE_COMBINE_GROUP_SIZE) in;

layout(set = 0, binding = 0, scalar) readonly restrict buffer Products { float products[]; };
layout(set = 0, binding = 1, scalar) readonly restrict buffer Gates { float gates[]; };
layout(set = 0, binding = 2, scalar) readonly restrict buffer Residual { float residual[]; };
layout(set = 0, binding = 3, scalar) writeonly restrict buffer Y { float y[]; };
layout(push_constant, scalar) uniform Push { MoeCombinePush p; };

void main() {
  const uint o = gl_GlobalInvocationID.x;
  const uint row = gl_WorkGroupID.y;
  if (o >= p.d_model) return;
  float total = 0.0;
  for (uint slot = 0; slot < p.n_slots; ++slot)
    total += gates[row * (p.top_k + 1) + slot] * products[(row * p.n_slots + slot) * p.d_model + o];
  y[row * p.d_model + o] = residual[row * p.d_model + o] + total;
}
