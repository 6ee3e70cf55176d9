// y[r, c] = x[r, c] / (1 - p) if the element is kept, else 0
// The manual of dropout() says which elements are kept.
//
// Bindings: step; x [R, n_cols]; masks [., mask_cols] (unused without masks); y [R, n_cols]
// An invocation computes one element. Grid: x over columns, y over valid rows.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/philox.glsl"
#include "lib/step.glsl"
#include "params/dropout.h"

layout(local_size_x_id = BX_DROPOUT_GROUP_SIZE) in;
layout(constant_id = BX_DROPOUT_HAS_MASKS) const bool kHasMasks = false;

layout(set = 0, binding = 1, scalar) readonly restrict buffer X { float x[]; };
layout(set = 0, binding = 2, scalar) readonly buffer Masks { float masks[]; };
layout(set = 0, binding = 3, scalar) writeonly restrict buffer Y { float y[]; };
layout(push_constant, scalar) uniform Push { DropoutPush p; };

bool is_drawn(const uint row, const uint c) {
  const SegmentWords segment = step_.segments[segment_of(row)];
  const uint micro_row = segment.micro_row + row - segment.first_row + segment.position;
  const PhiloxWords words = philox4x32_words(uvec2(c / 4u, micro_row),
                                             uvec2(segment.micro_batch, p.seed_high),
                                             uvec2(p.seed_low, p.index));
  const uint word = (c & 2u) == 0u ? ((c & 1u) == 0u ? words.w0 : words.w1)
                                   : ((c & 1u) == 0u ? words.w2 : words.w3);
  return float(word >> 8) * (1.0 / 16777216.0) >= p.p;
}

void main() {
  const uint c = gl_GlobalInvocationID.x;
  const uint row = gl_WorkGroupID.y;
  if (c >= p.n_cols) return;
  bool kept = false;
  if (kHasMasks) {
    const uint mask_row = step_.store_row + row;
    if (mask_row < p.first_row || mask_row >= p.end_row) return;
    kept = masks[(mask_row - p.first_row) * p.mask_cols + p.first_column + c] != 0.0;
  } else {
    kept = is_drawn(row, c);
  }
  const uint at = row * p.n_cols + c;
  y[at] = kept ? x[at] / (1.0 - p.p) : 0.0;
}
