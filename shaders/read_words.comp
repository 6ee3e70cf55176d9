// Reads n_quads quads (16 bytes each), each of them once. Adds the words of the quads that an
// invocation reads to sums[invocation].
//
// Bindings: sums [invocations]; quads [n_quads]
// Grid: x strides over quads. The shader only reads, to measure the highest read rate of a device.
// Without quads it measures the time of a dispatch.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_scalar_block_layout : require
#include "params/read_words.h"

layout(local_size_x_id = BX_READ_WORDS_GROUP_SIZE) in;

layout(set = 0, binding = 0, scalar) restrict buffer Sums { uint sums[]; };
layout(set = 0, binding = 1, scalar) readonly restrict buffer Quads { uvec4 quads[]; };
layout(push_constant, scalar) uniform Push { ReadWordsPush p; };

void main() {
  const uint stride = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
  uvec4 sum = uvec4(0);
  uint i = gl_GlobalInvocationID.x;
  // Reads four quads at a time, so that four reads are in flight.
  for (; i < p.n_quads && p.n_quads - i > 3 * stride; i += 4 * stride)
    sum += quads[i] + quads[i + stride] + quads[i + 2 * stride] + quads[i + 3 * stride];
  for (; i < p.n_quads; i += stride) sum += quads[i];
  sums[gl_GlobalInvocationID.x] += sum.x + sum.y + sum.z + sum.w;
}
