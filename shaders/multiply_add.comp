// Each invocation computes 32 chains: n_rounds times x = x * factor + term for each chain.
//   sums[invocation] = the sum of the last x of all 32 chains
//
// Bindings: sums [invocations]; starts [1 or more]
// Grid: x, one invocation per sum. The shader only multiplies and adds in registers, to measure the
// float32 peak of a device. The start is read from memory, so that no compiler can compute the
// result in advance.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_scalar_block_layout : require
#include "params/multiply_add.h"

layout(local_size_x_id = BX_MULTIPLY_ADD_GROUP_SIZE) in;

layout(set = 0, binding = 0, scalar) writeonly restrict buffer Sums { float sums[]; };
layout(set = 0, binding = 1, scalar) readonly restrict buffer Starts { float starts[]; };
layout(push_constant, scalar) uniform Push { MultiplyAddPush p; };

void main() {
  const vec4 factor = vec4(p.factor), term = vec4(p.term);
  const vec4 start = vec4(0, 1, 2, 3) + starts[0];
  // 32 chains as eight vec4s, which do not depend on each other, so their latencies overlap. They
  // are separate variables, so that they stay in registers.
  vec4 a = start, b = start + 4, c = start + 8, d = start + 12;
  vec4 e = start + 16, f = start + 20, g = start + 24, h = start + 28;
  for (uint round = 0; round < p.n_rounds; ++round) {
    a = fma(a, factor, term);
    b = fma(b, factor, term);
    c = fma(c, factor, term);
    d = fma(d, factor, term);
    e = fma(e, factor, term);
    f = fma(f, factor, term);
    g = fma(g, factor, term);
    h = fma(h, factor, term);
  }
  const vec4 all = a + b + c + d + e + f + g + h;
  sums[gl_GlobalInvocationID.x] = all.x + all.y + all.z + all.w;
}
