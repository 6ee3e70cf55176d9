// Completes the gradient of params: adds the sums of all workgroups of selective_scan_backward in
// order, and goes back through the norms of B and C:
//   g_x[n] = rho * norm[n] * g[n] - x[n] * rho^3 * mean(norm * g * x),  rho = 1 / sqrt(mean(x^2) + eps)
//
// Bindings: params [R, W]; work, whose part `sums` is [groups, R, 2N + 1]; g_params [R, W]
// A workgroup computes one row. Grid: x over valid rows.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/weight.glsl"
#include "params/selective_scan_backward.h"

layout(local_size_x_id = BX_SELECTIVE_SCAN_PARAMS_GROUP_SIZE) in;
layout(constant_id = BX_SELECTIVE_SCAN_PARAMS_HAS_NORMS) const bool kHasNorms = true;
layout(constant_id = BX_SELECTIVE_SCAN_PARAMS_HAS_RATE) const bool kHasRate = true;

layout(set = 0, binding = 0, scalar) readonly restrict buffer Params { float params[]; };
layout(set = 0, binding = 1, scalar) readonly restrict buffer Work { float work[]; };
layout(set = 0, binding = 2, scalar) coherent restrict buffer GParams { float g_params[]; };
layout(push_constant, scalar) uniform Push { SelectiveScanParamsPush p; };

float sum_of(const uint row, const uint column) {
  const uint width = 2 * p.d_state + 1;
  float sum = 0.0;
  for (uint group = 0; group < p.n_groups; ++group)
    sum += work[p.first_sums + (group * p.n_rows + row) * width + column];
  return sum;
}

// Goes back through the norm of B (part 0) or C (part 1). The gradient of the result is in g_params.
void through_norm(const uint first, const uvec2 norm) {
  float squares = 0.0;
  float sum = 0.0;
  for (uint n = 0; n < p.d_state; ++n) {
    const float x = params[first + n];
    squares += x * x;
    sum += Floats(norm).at[n] * g_params[first + n] * x;
  }
  const float count = float(p.d_state);
  const float rho = 1.0 / sqrt(squares / count + p.eps);
  const float part = sum / count * rho * rho * rho;
  for (uint n = 0; n < p.d_state; ++n)
    g_params[first + n] =
        rho * Floats(norm).at[n] * g_params[first + n] - params[first + n] * part;
}

void main() {
  const uint row = gl_WorkGroupID.x;
  const uint at = row * p.params_width;
  for (uint c = gl_LocalInvocationID.x; c < p.params_width; c += gl_WorkGroupSize.x) {
    const bool is_bc = c >= p.first_b && c < p.first_b + 2 * p.d_state;
    const bool is_rate = kHasRate && c == p.params_width - 1;
    g_params[at + c] = is_bc || is_rate ? sum_of(row, c - p.first_b) : 0.0;
  }
  if (!kHasNorms) return;
  memoryBarrierBuffer();
  barrier();
  if (gl_LocalInvocationID.x == 0)
    through_norm(at + p.first_b, p.b_norm);
  else if (gl_LocalInvocationID.x == 1)
    through_norm(at + p.first_b + p.d_state, p.c_norm);
}
