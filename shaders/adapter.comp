// y[r, o] = (m[o] / n[o]) * (base[r, o] + scale * sum_k u[r, k] * B[k, o]) + bias[o] + residual[r, o]
// Without DoRA, the factor m / n is 1. It is 1 where n is 0.
//
// Bindings: base [R, n_out]; u [R, rank]; B [rank, n_out]; m [n_out]; norms [n_out];
// residual [R, n_out] (or base again); y [R, n_out]
// An invocation computes one element. Grid: x over outputs, y over valid rows.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/weight.glsl"
#include "params/adapter.h"

layout(local_size_x_id = BX_ADAPTER_GROUP_SIZE) in;
layout(constant_id = BX_ADAPTER_IS_DORA) const bool kIsDora = false;
layout(constant_id = BX_ADAPTER_HAS_BIAS) const bool kHasBias = false;
layout(constant_id = BX_ADAPTER_HAS_RESIDUAL) const bool kHasResidual = false;

layout(set = 0, binding = 0, scalar) readonly restrict buffer Base { float base[]; };
layout(set = 0, binding = 1, scalar) readonly restrict buffer U { float u[]; };
layout(set = 0, binding = 2, scalar) readonly restrict buffer B { float b[]; };
layout(set = 0, binding = 3, scalar) readonly restrict buffer M { float m[]; };
layout(set = 0, binding = 4, scalar) readonly restrict buffer Norms { float norms[]; };
layout(set = 0, binding = 5, scalar) readonly restrict buffer Residual { float residual[]; };
layout(set = 0, binding = 6, scalar) writeonly restrict buffer Y { float y[]; };
layout(push_constant, scalar) uniform Push { AdapterPush p; };

// m / n, which is 1 for LoRA and where n is 0.
float factor_of(const uint o) {
  if (!kIsDora) return 1.0;
  const float n = norms[p.norm + o];
  return n == 0.0 ? 1.0 : m[p.m + o] / n;
}

void main() {
  const uint row = gl_WorkGroupID.y;
  const uint o = gl_GlobalInvocationID.x;
  if (o < p.n_out) {
    float sum = 0.0;
    for (uint k = 0; k < p.rank; ++k) sum += u[row * p.rank + k] * b[p.b + k * p.n_out + o];
    const uint at = row * p.n_out + o;
    float value = factor_of(o) * (base[at] + p.scale * sum);
    if (kHasBias) value += Floats(p.bias.data).at[o];
    if (kHasResidual) value += residual[at];
    y[at] = value;
  }
}
