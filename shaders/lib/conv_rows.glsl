// Reads the rows of a segment and the K-1 rows before the segment. A causal convolution over K taps
// needs all of these rows.
//
// The including shader has p.d_inner, p.v_width, p.d_conv, p.slot_stride and p.version_stride, and
// declares v[], of which row r begins at r * v_width, and tail[], the state [K-1, E], oldest row first.
#ifndef BX_CONV_ROWS_GLSL
#define BX_CONV_ROWS_GLSL

#include "lib/step.glsl"

// The offset in tail[] of the tail in one slot and version.
uint tail_base(const uint slot, const uint version) {
  return slot * p.slot_stride + version * p.version_stride;
}

// Channel e of row i - (K-1) of segment g. For i < K-1 the row lies before the segment and comes
// from the tail.
float conv_row(const uint g, const uint i, const uint e) {
  const uint before = p.d_conv - 1;
  if (i >= before)
    return v[(step_.segments[g].first_row + i - before) * p.v_width + e];
  if (step_.segments[g].position == 0) return 0.0;
  return tail[tail_base(step_.segments[g].slot, step_.segments[g].read_version) +
              i * p.d_inner + e];
}

#endif
