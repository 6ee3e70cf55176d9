// Computes the weights of all tokens, before any filter.
//   weights[g, i] = floor(exp(l[i] - max l) * 2^30 + 1/2), where l are the scaled logits
//
// Bindings: step; best [G, n_parts] and keys [G, V], of sample_scale; weights [G, V]
// A workgroup computes a part of one segment's vocabulary. Grid: x over parts, y over segments.
// Skips segments for which sample_draw needs no weights. Requires whole subgroups.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/step.glsl"
#include "params/sample.h"

layout(local_size_x_id = BX_SAMPLE_GROUP_SIZE) in;

layout(set = 0, binding = 1, scalar) readonly restrict buffer Best { uvec2 best[]; };
layout(set = 0, binding = 2, scalar) readonly restrict buffer Keys { uint keys[]; };
layout(set = 0, binding = 3, scalar) restrict buffer Weights { uint weights[]; };
layout(push_constant, scalar) uniform Push { SamplePush p; };

#include "lib/sample_best.glsl"
#include "lib/token_weight.glsl"

void main() {
  const uint g = gl_WorkGroupID.y;
  if (step_.segments[g].sampled_output == BX_SAMPLES_NOTHING) return;
  const uvec2 top = best_of_segment(g);
  if (float_is_zero(floatBitsToUint(step_.segments[g].sampling.temperature)) ||
      !key_is_finite(top.x))
    return;
  const uint largest = keys[g * p.vocab_size + top.y];
  if (!key_is_finite(largest)) return;
  const uint first = gl_WorkGroupID.x * gl_WorkGroupSize.x * BX_SAMPLE_PER_LANE;
  for (uint j = 0; j < BX_SAMPLE_PER_LANE; ++j) {
    const uint i = first + j * gl_WorkGroupSize.x + gl_LocalInvocationIndex;
    if (i >= p.vocab_size) break;
    weights[g * p.vocab_size + i] =
        token_weight(of_order_key(keys[g * p.vocab_size + i]), of_order_key(largest));
  }
}
