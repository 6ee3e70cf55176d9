// norms[o] = || W[o, :] + scale * sum_k B[k, o] * A[:, k] ||
//
// Bindings: A [n_in, rank]; B [rank, n_out]; norms [n_out]
// A workgroup computes one output. Grid: x over outputs. Requires whole subgroups.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_scalar_block_layout : require
#include "lib/group_sum.glsl"
#include "params/dora_norms.h"

layout(local_size_x_id = BX_DORA_NORMS_GROUP_SIZE) in;
layout(constant_id = BX_DORA_NORMS_FORM) const uint kForm = 0;

layout(set = 0, binding = 0, scalar) readonly restrict buffer A { float a[]; };
layout(set = 0, binding = 1, scalar) readonly restrict buffer B { float b[]; };
layout(set = 0, binding = 2, scalar) writeonly restrict buffer Norms { float norms[]; };
layout(push_constant, scalar) uniform Push { DoraNormsPush p; };

float squares = 0.0;
uint slice_col = 0;

void put(uint i, vec4 values) {
  for (uint j = 0; j < 4; ++j) {
    const uint c = slice_col + 4 * i + j;
    if (c < p.n_in) {
      float sum = 0.0;
      for (uint k = 0; k < p.rank; ++k)
        sum += a[p.a + c * p.rank + k] * b[p.b + k * p.n_out + gl_WorkGroupID.x];
      const float value = values[j] + p.scale * sum;
      squares += value * value;
    }
  }
}
#define WEIGHT_SLICE_PUT(i, values) put(i, values)
#include "lib/weight_slice.glsl"

void main() {
  const uint o = gl_WorkGroupID.x;
  weight_slice_codebook(p.weight, kForm, 0);
  barrier();
  for (slice_col = 16 * gl_LocalInvocationID.x; slice_col < p.n_in;
       slice_col += 16 * gl_WorkGroupSize.x)
    weight_slice(p.weight, kForm, 0, p.n_in, o, p.n_out, slice_col);
  const float all = group_sum(squares);
  if (gl_LocalInvocationID.x == 0) norms[p.norm + o] = sqrt(all);
}
