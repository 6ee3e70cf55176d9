// The selective scan of whole segments.
// lib/selective_scan.glsl has the formula and bindings 1 to 6.
//
// Bindings: step; then bindings 1 to 6
// A workgroup scans all rows of one segment (grid y), for the channels of its lanes (grid x). The
// result of a row does not depend on how rows are grouped into steps.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/selective_scan.glsl"

void main() {
  const uint g = gl_WorkGroupID.y;
  load_channel();
  if (step_.segments[g].position != 0) {
    const uint base = h_base(step_.segments[g].slot, step_.segments[g].read_version);
    for (uint i = 0; i < kPerLane; ++i)
      if (exists(i)) state[i] = h[base + state_at(i)];
  }
  scan_rows(step_.segments[g].first_row,
            step_.segments[g].first_row + step_.segments[g].n_rows, true);
  if (!writes || step_.segments[g].keeps_state == 0) return;
  const uint base = h_base(step_.segments[g].slot, step_.segments[g].write_version);
  for (uint i = 0; i < kPerLane; ++i)
    if (exists(i)) h[base + state_at(i)] = state[i];
}
