// y[r, :] = table[id[r], :], or zeros if id[r] is outside the vocabulary
// seen(write version) = seen(read version) | {id[r] of the segment's rows}, if the segment keeps its
// state
//
// Bindings: step; seen, state [n_words]; next_token, state [1]; y [R, d_embedding]
// Grid: z is BX_EMBED_LOOK_UP or BX_EMBED_RECORD. x strides over columns (LOOK_UP) or words
// (RECORD). y is over rows or segments; there are never more segments than rows. Each word of
// `seen` is read and written by one invocation only. So the read version and the write version may
// be the same, and an id may occur several times.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/step.glsl"
#include "lib/weight.glsl"
#include "params/embed.h"

layout(local_size_x_id = BX_EMBED_GROUP_SIZE) in;
layout(constant_id = BX_EMBED_FORM) const uint kForm = 0;

layout(set = 0, binding = 1, scalar) restrict buffer Seen { uint seen[]; };
layout(set = 0, binding = 2, scalar) readonly restrict buffer NextToken { int next_token[]; };
layout(set = 0, binding = 3, scalar) writeonly restrict buffer Y { float y[]; };
layout(push_constant, scalar) uniform Push { EmbedPush p; };

// The id in row `row` of segment g. A negative id becomes 2^31 or more, which is outside the
// vocabulary.
uint id_of(uint g, uint row) {
  const SegmentWords segment = step_.segments[g];
  return uint(segment.ids_from_state != 0
                  ? next_token[segment.slot * p.token_slot +
                               segment.read_version * p.token_version]
                  : step_.ids[row]);
}

void look_up(uint row, uint first, uint stride) {
  const uint id = id_of(segment_of(row), row);
  for (uint c = first; c < p.d_embedding; c += stride)
    y[row * p.d_embedding + c] =
        id < p.vocab_size ? weight_at(p.table, kForm, id * p.d_embedding + c) : 0.0;
}

void record(uint g, uint first, uint stride) {
  const SegmentWords segment = step_.segments[g];
  if (segment.keeps_state == 0) return;
  const uint slot = segment.slot * p.seen_slot;
  for (uint w = first; w < p.n_words; w += stride) {
    // At position 0 the old set is empty, even if its memory holds other bits.
    uint bits = 0;
    if (segment.position != 0) bits = seen[slot + segment.read_version * p.seen_version + w];
    for (uint i = 0; i < segment.n_rows; ++i) {
      const uint id = id_of(g, segment.first_row + i);
      if (id < p.vocab_size && id / 32 == w) bits |= 1u << (id % 32);
    }
    seen[slot + segment.write_version * p.seen_version + w] = bits;
  }
}

void main() {
  const uint first = gl_GlobalInvocationID.x;
  const uint stride = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
  const uint at = gl_WorkGroupID.y;
  if (gl_WorkGroupID.z == BX_EMBED_LOOK_UP) {
    look_up(at, first, stride);
  } else if (at < step_.n_segments) {
    record(at, first, stride);
  }
}
