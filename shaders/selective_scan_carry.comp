// Runs between the two dispatches of selective_scan_chunk. Computes the state after each chunk of a
// segment except the last chunk.
//   states[c] = exp(a * dt_sums[c]) * states[c - 1] + states[c],  c = 1, 2, ...
// Here a = -exp(a_log), and states[0] is already correct. exp(a * dt_sums[c]) is the decay over
// chunk c: the factors exp(a * dt) of its rows multiply, so their time steps dt add up.
//
// Bindings: step; dt_sums [places, E]; states [places, N, E] (places: lib/scan_chunks.glsl)
// A lane computes one state of one channel (grid x) over the chunks of one segment (grid y).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/math.glsl"
#include "lib/scan_chunks.glsl"
#include "lib/weight.glsl"
#include "params/selective_scan.h"

layout(local_size_x_id = BX_SELECTIVE_SCAN_CARRY_GROUP_SIZE) in;
layout(constant_id = BX_SELECTIVE_SCAN_CARRY_A_LOG_FORM) const uint kALogForm = 0;

layout(set = 0, binding = 1, scalar) readonly restrict buffer DtSums { float dt_sums[]; };
layout(set = 0, binding = 2, scalar) restrict buffer States { float states[]; };
layout(push_constant, scalar) uniform Push { SelectiveScanCarryPush p; };

void main() {
  const uint at = gl_GlobalInvocationID.x;
  const uint place_words = p.d_state * p.d_inner;
  if (at >= place_words) return;
  const uint n = at / p.d_inner;
  const uint channel = at % p.d_inner;
  const float rate = -exp_of(weight_at(p.a_log, kALogForm, channel * p.d_state + n));
  const uint first = first_place_of(gl_WorkGroupID.y, p.chunk_rows);
  const uint n_places = n_chunks_of(gl_WorkGroupID.y, p.chunk_rows) - 1;
  if (n_places < 2) return;
  float state = states[first * place_words + at];
  for (uint place = first + 1; place < first + n_places; ++place) {
    float scale, rest;
    exp_parts(rate * dt_sums[place * p.d_inner + channel], scale, rest);
    const float kept = state * scale;  // exact
    state = kept + (kept * rest + states[place * place_words + at]);
    states[place * place_words + at] = state;
  }
}
