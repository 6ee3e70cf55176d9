// y[r, c] = sum_s products[r, s, c]
//
// Bindings: products [R, top_k, D]; y [R, D]
// An invocation computes one element of y and adds the slots in order. Grid: x over D, y over rows.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_scalar_block_layout : require
#include "params/moe_back.h"

layout(local_size_x_id = BX_MOE_BACK_SUM_GROUP_SIZE) in;

layout(set = 0, binding = 0, scalar) readonly restrict buffer Products { float products[]; };
layout(set = 0, binding = 1, scalar) writeonly restrict buffer Y { float y[]; };
layout(push_constant, scalar) uniform Push { MoeBackSumPush p; };

void main() {
  const uint c = gl_GlobalInvocationID.x;
  const uint row = gl_WorkGroupID.y;
  if (c >= p.d_model) return;
  float sum = 0.0;
  for (uint s = 0; s < p.top_k; ++s) sum += products[(row * p.top_k + s) * p.d_model + c];
  y[row * p.d_model + c] = sum;
}
