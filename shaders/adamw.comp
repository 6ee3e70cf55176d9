// g = clip * gradient;  m = b1 * m + (1 - b1) * g;  v = b2 * v + (1 - b2) * g^2
// p = p * (1 - decay) - rate * (m / c1) / (sqrt(v / c2) + eps)
//
// Bindings: gradients; numbers [8]: clip, rate, decay, b1, b2, c1, c2, eps; parameters; first;
// second [n]
// Grid: x strides over elements.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_scalar_block_layout : require
#include "params/adamw.h"

layout(local_size_x_id = BX_ADAMW_GROUP_SIZE) in;

layout(set = 0, binding = 0, scalar) readonly restrict buffer Gradients { float gradients[]; };
layout(set = 0, binding = 1, scalar) readonly restrict buffer Numbers { float numbers[]; };
layout(set = 0, binding = 2, scalar) restrict buffer Parameters { float parameters[]; };
layout(set = 0, binding = 3, scalar) restrict buffer First { float first[]; };
layout(set = 0, binding = 4, scalar) restrict buffer Second { float second[]; };
layout(push_constant, scalar) uniform Push { AdamwPush p; };

void main() {
  const float clip = numbers[0];
  const float rate = numbers[1];
  const float decay = numbers[2];
  const float b1 = numbers[3];
  const float b2 = numbers[4];
  const float c1 = numbers[5];
  const float c2 = numbers[6];
  const float eps = numbers[7];
  const uint stride = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
  for (uint i = gl_GlobalInvocationID.x; i < p.n; i += stride) {
    const float g = clip * gradients[i];
    const float m = b1 * first[i] + (1.0 - b1) * g;
    const float v = b2 * second[i] + (1.0 - b2) * (g * g);
    first[i] = m;
    second[i] = v;
    const float change = rate * (m / c1) / (sqrt(v / c2) + eps);
    parameters[i] = parameters[i] * (1.0 - decay) - change;
  }
}
