// The selective scan with each segment split into chunks (lib/scan_chunks.glsl) that run in
// parallel, for devices with more lanes than channels. This shader is dispatched twice, with
// selective_scan_carry between the two dispatches:
//   first   The first chunk of a segment computes its states and y. Its final state goes to its
//           place, or to h if it is the only chunk. The chunks between the first and the last chunk
//           start from the state zero and do not compute y. The final state and the sum of dt of
//           each of these chunks go to its place. The last chunk does nothing.
//   REPLAY  All chunks except the first chunk compute their states and y. Chunk c starts from the
//           state at the place of chunk c-1.
// lib/selective_scan.glsl has the formula and bindings 1 to 6.
//
// Bindings: step; then bindings 1 to 6; scratch: states [places, N, E]; dt_sums [places, E]
// A workgroup scans the rows of one chunk (grid y) of one segment (grid z), for the channels of its
// lanes (grid x). The grid has as many chunks per segment as a segment with all rows of the step.
// The state at the start of a chunk is rounded differently than in a scan row by row.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/scan_chunks.glsl"
#include "lib/selective_scan.glsl"

layout(constant_id = BX_SELECTIVE_SCAN_CHUNK_REPLAY) const bool kReplay = false;

layout(set = 0, binding = 7, scalar) restrict buffer States { float states[]; };
layout(set = 0, binding = 8, scalar) restrict buffer DtSums { float dt_sums[]; };

void scan_chunk(const uint g, const uint chunk, const bool is_first, const bool is_last) {
  load_channel();
  const uint place = first_place_of(g, p.chunk_rows) + chunk;
  const uint place_words = kDState * p.d_inner;
  if (kReplay) {
    for (uint i = 0; i < kPerLane; ++i)
      if (exists(i)) set_state(i, states[(place - 1) * place_words + state_at(i)]);
  } else if (is_first && step_.segments[g].position != 0) {
    const uint base = h_base(step_.segments[g].slot, step_.segments[g].read_version);
    for (uint i = 0; i < kPerLane; ++i)
      if (exists(i)) set_state(i, h[base + state_at(i)]);
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
    if (step_.segments[g].keeps_state == 0) return;
    const uint base = h_base(step_.segments[g].slot, step_.segments[g].write_version);
    for (uint i = 0; i < kPerLane; ++i)
      if (exists(i)) h[base + state_at(i)] = state[i];
  } else if (!kReplay) {
    for (uint i = 0; i < kPerLane; ++i)
      if (exists(i)) states[place * place_words + state_at(i)] = state[i];
    if (part == 0) dt_sums[place * p.d_inner + channel] = dt_sum;
  }
}

void main() {
  const uint g = gl_WorkGroupID.z;
  const uint chunk = gl_WorkGroupID.y;
  const uint n_chunks = n_chunks_of(g, p.chunk_rows);
  const bool is_first = chunk == 0;
  const bool is_last = chunk + 1 == n_chunks;
  const bool runs = kReplay ? !is_first : is_first || !is_last;
  if (chunk < n_chunks && runs)  // uniform in the workgroup
    scan_chunk(g, chunk, is_first, is_last);
}
