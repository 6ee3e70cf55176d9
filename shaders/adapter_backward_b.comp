// g_B[k, o] += scale * (m[o] / n[o]) * s[k, o],  s[k, o] = sum_r u[r, k] * g_y[r, o]
// g_m[o] += (sum_r g_y[r, o] * base[r, o] + scale * sum_k B[k, o] * s[k, o]) / n[o], 0 where n is 0
// Sums over rows are in the order of the rows. Without DoRA, the factor m / n is 1 and there is no
// g_m. The factor is 1 where n is 0.
//
// Bindings: step; g_y [R, n_out]; base [R, n_out] (or g_y again); u [R, rank]; B [rank, n_out];
// m [n_out]; norms [n_out]; g_B [rank, n_out]; g_m [n_out] (or g_B again)
// An invocation computes one column of g_B, BX_ADAPTER_RANKS elements at a time. Grid: x over outputs.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/step.glsl"
#include "params/adapter.h"

#extension GL_EXT_control_flow_attributes : require

layout(local_size_x_id = BX_ADAPTER_BACKWARD_B_GROUP_SIZE) in;
layout(constant_id = BX_ADAPTER_BACKWARD_B_IS_DORA) const bool kIsDora = false;
layout(constant_id = BX_ADAPTER_BACKWARD_B_OF_OUTPUTS) const bool kOfOutputs = false;

layout(set = 0, binding = 1, scalar) readonly restrict buffer GY { float g_y[]; };
layout(set = 0, binding = 2, scalar) readonly restrict buffer Base { float base[]; };
layout(set = 0, binding = 3, scalar) readonly restrict buffer U { float u[]; };
layout(set = 0, binding = 4, scalar) readonly restrict buffer B { float b[]; };
layout(set = 0, binding = 5, scalar) readonly restrict buffer M { float m[]; };
layout(set = 0, binding = 6, scalar) readonly restrict buffer Norms { float norms[]; };
layout(set = 0, binding = 7, scalar) buffer GB { float g_b[]; };
layout(set = 0, binding = 8, scalar) buffer GM { float g_m[]; };
layout(push_constant, scalar) uniform Push { AdapterSumPush p; };

// m / n, which is 1 for LoRA and where n is 0.
float factor_of(const uint o) {
  if (!kIsDora) return 1.0;
  const float n = norms[p.norm + o];
  return n == 0.0 ? 1.0 : m[p.m + o] / n;
}

void main() {
  const uint o = gl_GlobalInvocationID.x;
  const uint n_rows = kOfOutputs ? step_.n_outputs : step_.n_rows;
  if (o < p.n_out) {
    const float factor = p.scale * factor_of(o);
    float inner = 0.0;
    for (uint first = 0; first < p.rank; first += BX_ADAPTER_RANKS) {
      float sums[BX_ADAPTER_RANKS];
      [[unroll]] for (uint k = 0; k < BX_ADAPTER_RANKS; ++k) sums[k] = 0.0;
      for (uint row = 0; row < n_rows; ++row) {
        const float g = g_y[row * p.n_out + o];
        [[unroll]] for (uint k = 0; k < BX_ADAPTER_RANKS; ++k)
          if (first + k < p.rank) sums[k] += u[row * p.rank + first + k] * g;
      }
      [[unroll]] for (uint k = 0; k < BX_ADAPTER_RANKS; ++k)
        if (first + k < p.rank) {
          const uint at = (first + k) * p.n_out + o;
          inner += b[p.b + at] * sums[k];
          g_b[p.g_b + at] += factor * sums[k];
        }
    }
    if (kIsDora && norms[p.norm + o] != 0.0) {
      float sum = 0.0;
      for (uint row = 0; row < n_rows; ++row)
        sum += g_y[row * p.n_out + o] * base[row * p.n_out + o];
      g_m[p.g_m + o] += (sum + p.scale * inner) / norms[p.norm + o];
    }
  }
}
