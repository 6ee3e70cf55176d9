// g_gate = g_y * up * silu'(gate), g_up = g_y * silu(gate)
// silu'(a) = s * (1 + a * (1 - s)), s = sigmoid(a)
//
// Bindings: gate, up, g_y, g_gate, g_up [R, n_cols]
// An invocation computes one element. Grid: x over columns, y over valid rows.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_scalar_block_layout : require
#include "lib/math.glsl"
#include "params/silu_mul_backward.h"

layout(local_size_x_id = BX_SILU_MUL_BACKWARD_GROUP_SIZE) in;

layout(set = 0, binding = 0, scalar) readonly restrict buffer Gate { float gate[]; };
layout(set = 0, binding = 1, scalar) readonly restrict buffer Up { float up[]; };
layout(set = 0, binding = 2, scalar) readonly restrict buffer GY { float g_y[]; };
layout(set = 0, binding = 3, scalar) writeonly restrict buffer GGate { float g_gate[]; };
layout(set = 0, binding = 4, scalar) writeonly restrict buffer GUp { float g_up[]; };
layout(push_constant, scalar) uniform Push { SiluMulBackwardPush p; };

void main() {
  const uint c = gl_GlobalInvocationID.x;
  const uint at = gl_WorkGroupID.y * p.n_cols + c;
  if (c < p.n_cols) {
    const float a = gate[at];
    const float e = exp_of(-abs(a));
    // sigmoid(a) and sigmoid(-a), both with their full relative precision.
    const float large = 1.0 / (1.0 + e);
    const float small = e / (1.0 + e);
    const float s = a < 0.0 ? small : large;
    const float rest = a < 0.0 ? large : small;
    g_gate[at] = g_y[at] * up[at] * (s * (1.0 + a * rest));
    g_up[at] = g_y[at] * (a * s);
  }
}
