// Applies the repetition penalty and the temperature to logits, and finds the best token of each
// part of the vocabulary.
//   l[i] = logits[o, i], where o is the output that gives the token of segment g. If token i was
//     seen, a positive l[i] is divided by the penalty, and a negative l[i] is multiplied by it
//   keys[g, i] = order_key(l[i] / temperature)
//   best[g, part] = (order_key(l[i]), i) for the token i of the part that has the largest l[i];
//     among equal logits, i is the lowest id
//
// Bindings: step; logits [O, V]; seen (state); best [G, n_parts]; keys [G, V], with DRAW
// A workgroup computes a part of one segment's vocabulary. Grid: x over parts, y over segments. A
// NaN has the largest key. With temperature 0 no keys are written. Requires whole subgroups.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/step.glsl"
#include "params/sample.h"

layout(local_size_x_id = BX_SAMPLE_GROUP_SIZE) in;
layout(constant_id = BX_SAMPLE_DRAW) const bool kDraw = false;
layout(constant_id = BX_SAMPLE_PENALTY) const bool kPenalty = false;

layout(set = 0, binding = 1, scalar) readonly restrict buffer Logits { uint logits[]; };
layout(set = 0, binding = 2, scalar) readonly restrict buffer Seen { uint seen[]; };
layout(set = 0, binding = 3, scalar) restrict buffer Best { uvec2 best[]; };
layout(set = 0, binding = 4, scalar) restrict buffer Keys { uint keys[]; };
layout(push_constant, scalar) uniform Push { SamplePush p; };

#include "lib/sample_best.glsl"

// Applies the repetition penalty to one logit. If an extreme penalty makes a finite logit overflow,
// the result is the largest finite number with the same sign. An infinite logit stays infinite.
uint penalised(const uint logit, const uint penalty) {
  if (float_is_nan(logit) || float_is_inf(logit)) return logit;
  const bool positive = (logit & kSignBit) == 0u && !float_is_zero(logit);
  const uint result = positive ? float_divide(logit, penalty) : float_multiply(logit, penalty);
  return float_is_inf(result) ? result - 1u : result;
}

void main() {
  const uint g = gl_WorkGroupID.y;
  const uint sampled = step_.segments[g].sampled_output;
  if (sampled == BX_SAMPLES_NOTHING) return;
  const uint temperature = floatBitsToUint(step_.segments[g].sampling.temperature);
  const uint penalty = floatBitsToUint(step_.segments[g].sampling.repetition_penalty);
  const uint seen_at = step_.segments[g].slot * p.seen_slot +
                       step_.segments[g].write_version * p.seen_version;
  const bool penalise = kPenalty && penalty != floatBitsToUint(1.0);
  const bool scale = kDraw && !float_is_zero(temperature);
  uvec2 mine = kNoToken;
  const uint first = gl_WorkGroupID.x * gl_WorkGroupSize.x * BX_SAMPLE_PER_LANE;
  for (uint j = 0; j < BX_SAMPLE_PER_LANE; ++j) {
    const uint i = first + j * gl_WorkGroupSize.x + gl_LocalInvocationIndex;
    if (i >= p.vocab_size) break;
    uint logit = logits[sampled * p.vocab_size + i];
    if (penalise && (seen[seen_at + (i >> 5)] >> (i & 31u) & 1u) != 0u)
      logit = penalised(logit, penalty);
    mine = better(mine, uvec2(order_key(logit), i));
    if (scale) keys[g * p.vocab_size + i] = order_key(float_divide(logit, temperature));
  }
  const uvec2 result = best_of_group(mine);
  if (gl_LocalInvocationIndex == 0) best[g * p.n_parts + gl_WorkGroupID.x] = result;
}
