// The selective scan with each segment cut into chunks (lib/scan_chunks.glsl) that run at the same
// time, for devices with more lanes than there are channels. Twice, with selective_scan_carry
// between:
//   first   the first chunk of a segment, as always; its end state goes to its place, or to h when
//           the segment has no other. Those in the middle, begun from zero and without y: the end
//           state and the sum of dt go to their places.
//   REPLAY  all chunks but the first: chunk c begins from the state at the place of chunk c-1.
// (The formula and bindings 1 to 5: lib/selective_scan.glsl.)
//
// Bindings: step; then those; scratch: states [places, N, E]; dt_sums [places, E]
// A work group runs over the rows of one chunk (grid y) of one segment (grid z), for the channels
// of its lanes (grid x); the grid is as large as if each segment had all rows of the step.
// A long carry is rounded in another order than row by row.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/scan_chunks.glsl"
#include "lib/selective_scan.glsl"

layout(constant_id = BX_SCAN_CHUNK_REPLAY) const bool kReplay = false;

layout(set = 0, binding = 6, scalar) restrict buffer States { float states[]; };
layout(set = 0, binding = 7, scalar) restrict buffer DtSums { float dt_sums[]; };

void main() {
  const uint g = gl_WorkGroupID.z;
  const uint chunk = gl_WorkGroupID.y;
  const uint n_chunks = n_chunks_of(g, p.chunk_rows);
  const bool is_first = chunk == 0;
  const bool is_last = chunk + 1 == n_chunks;
  // The same in the whole work group.
  if (chunk >= n_chunks || (kReplay ? is_first : is_last && !is_first)) return;

  load_channel();
  const uint place = first_place_of(g, p.chunk_rows) + chunk;
  const uint place_words = kStates * p.n_channels;
  if (kReplay) {
    for (uint i = 0; i < kPerLane; ++i)
      if (exists(i)) state[i] = states[(place - 1) * place_words + state_at(i)];
  } else if (is_first && step_.segments[g].position != 0) {
    const uint base = h_base(step_.segments[g].slot, step_.segments[g].read_version);
    for (uint i = 0; i < kPerLane; ++i)
      if (exists(i)) state[i] = h[base + state_at(i)];
  }

  const uint first_row = step_.segments[g].first_row + chunk * p.chunk_rows;
  const uint end_row = is_last ? step_.segments[g].first_row + step_.segments[g].n_rows
                               : first_row + p.chunk_rows;
  if (kReplay || is_first)
    scan_rows(first_row, end_row, true);
  else
    scan_rows(first_row, end_row, false);
  if (!writes) return;

  if (is_last) {
    const uint base = h_base(step_.segments[g].slot, step_.segments[g].write_version);
    for (uint i = 0; i < kPerLane; ++i)
      if (exists(i)) h[base + state_at(i)] = state[i];
  } else if (!kReplay) {
    for (uint i = 0; i < kPerLane; ++i)
      if (exists(i)) states[place * place_words + state_at(i)] = state[i];
    if (part == 0) dt_sums[place * p.n_channels + channel] = dt_sum;
  }
}
