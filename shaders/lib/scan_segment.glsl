// The selective scan of a whole segment, with the recurrence of lib/selective_scan.glsl.
#ifndef BX_SCAN_SEGMENT_GLSL
#define BX_SCAN_SEGMENT_GLSL

#include "lib/selective_scan.glsl"

// Scans all rows of a segment.
void scan_segment(const SegmentWords segment) {
  load_channel();
  if (segment.position != 0) {
    const uint base = h_base(segment.slot, segment.read_version);
    for (uint i = 0; i < kPerLane; ++i)
      if (exists(i)) set_state(i, h[base + state_at(i)]);
  }
  scan_rows(segment.first_row, segment.first_row + segment.n_rows, true);
  if (!writes || segment.keeps_state == 0) return;
  const uint base = h_base(segment.slot, segment.write_version);
  for (uint i = 0; i < kPerLane; ++i)
    if (exists(i)) h[base + state_at(i)] = state[i];
}

#endif
