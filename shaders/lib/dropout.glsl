// The masks of dropout, as the manual of adapter() defines them.
#ifndef BX_DROPOUT_GLSL
#define BX_DROPOUT_GLSL

#include "lib/philox.glsl"
#include "lib/step.glsl"
#include "params/adapter.h"

// The numbers of a row of the step that its mask is drawn from: the row of the micro-batch, then the
// micro-batch.
uvec2 dropout_row(const uint row) {
  const SegmentWords segment = step_.segments[segment_of(row)];
  return uvec2(segment.micro_row + row - segment.first_row + segment.position,
               segment.micro_batch);
}

// The factor of element c of a row: 1 / (1 - p), or 0.
float dropout_factor(const Dropout d, const uvec2 row, const uint c) {
  const PhiloxWords words = philox4x32_words(uvec2(c / 4u, row.x), uvec2(row.y, d.seed_high),
                                             uvec2(d.seed_low, d.index));
  const uint pair = (c & 2u) == 0u ? ((c & 1u) == 0u ? words.w0 : words.w1)
                                   : ((c & 1u) == 0u ? words.w2 : words.w3);
  const float drawn = float(pair >> 8) * (1.0 / 16777216.0);
  return drawn >= d.p ? 1.0 / (1.0 - d.p) : 0.0;
}

#endif
