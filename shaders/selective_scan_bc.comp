// bc[r] = B and C of row r, after their norms if there are norms:
//   norm[n] * x[n] / sqrt(mean(x^2) + eps)
//
// Bindings: step; params [R, W]; bc [R, 2, N]
// An invocation computes B or C of one row. Grid: x over B and C of the valid rows.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/step.glsl"
#include "lib/weight.glsl"
#include "params/selective_scan_backward.h"

layout(local_size_x_id = BX_SELECTIVE_SCAN_BC_GROUP_SIZE) in;
layout(constant_id = BX_SELECTIVE_SCAN_BC_HAS_NORMS) const bool kHasNorms = true;

layout(set = 0, binding = 1, scalar) readonly restrict buffer Params { float params[]; };
layout(set = 0, binding = 2, scalar) writeonly restrict buffer Bc { float bc[]; };
layout(push_constant, scalar) uniform Push { SelectiveScanBcPush p; };

void main() {
  const uint i = gl_GlobalInvocationID.x;
  if (i >= 2 * step_.n_rows) return;
  const uint from = i / 2 * p.params_width + p.first_b + i % 2 * p.d_state;
  const uvec2 norm = i % 2 == 0 ? p.b_norm : p.c_norm;
  float scale = 1.0;
  if (kHasNorms) {
    float sum = 0.0;
    for (uint n = 0; n < p.d_state; ++n) sum += params[from + n] * params[from + n];
    scale = 1.0 / sqrt(sum / float(p.d_state) + p.eps);
  }
  for (uint n = 0; n < p.d_state; ++n) {
    float x = params[from + n];
    if (kHasNorms) x = x * scale * Floats(norm).at[n];
    bc[i * p.d_state + n] = x;
  }
}
