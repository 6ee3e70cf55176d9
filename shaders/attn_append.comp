// keys[p(r), :] = new_keys[r, :], where p(r) is the position of row r. The same holds for values and
// new_values.
//
// Bindings: step; new_keys, new_values [R, width]; keys, values in pages, as words
// An invocation writes one word of the keys and one of the values. In float16 pages with an odd
// width, two adjacent rows may share a word. Another invocation may then write the other half of
// the word at the same time.
// Grid: x over the words of a row, y over rows.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/half.glsl"
#include "lib/step.glsl"
#include "params/attn_append.h"

layout(local_size_x_id = BX_ATTN_APPEND_GROUP_SIZE) in;
layout(constant_id = BX_ATTN_APPEND_HALF) const bool kHalf = true;

layout(set = 0, binding = 1, scalar) readonly buffer NewKeys { float new_keys[]; };
layout(set = 0, binding = 2, scalar) readonly buffer NewValues { float new_values[]; };
layout(set = 0, binding = 3, scalar) buffer Keys { uint keys[]; };
layout(set = 0, binding = 4, scalar) buffer Values { uint values[]; };
layout(push_constant, scalar) uniform Push { AttnAppendPush p; };

// Writes only the bits of `mask` in a word of the keys and in a word of the values. Another
// invocation may write the other bits of the words at the same time.
void write_part(const uint at, const uint mask, const uint key, const uint value) {
  atomicAnd(keys[at], ~mask);
  atomicOr(keys[at], key);
  atomicAnd(values[at], ~mask);
  atomicOr(values[at], value);
}

void main() {
  const uint row = gl_WorkGroupID.y;
  const SegmentWords segment = step_.segments[segment_of(row)];
  const uint position = segment.position + (row - segment.first_row);
  const uint first = page_row(segment, p.page_group, position) * p.width;  // an element
  const uint from = row * p.width;
  const uint i = gl_GlobalInvocationID.x;
  if (!kHalf) {
    if (i < p.width) {
      keys[first + i] = floatBitsToUint(new_keys[from + i]);
      values[first + i] = floatBitsToUint(new_values[from + i]);
    }
    return;
  }
  // The column of the lower half of the word. If a column is outside [0, width), that half of the
  // word belongs to another row.
  const int low = int(2 * i) - int(first & 1u);
  const int high = low + 1;
  const uint word = first / 2 + i;
  const int n = int(p.width);
  if (low >= 0 && high < n) {
    keys[word] = halves_word(new_keys[from + low], new_keys[from + high]);
    values[word] = halves_word(new_values[from + low], new_values[from + high]);
  } else if (low < 0) {
    write_part(word, 0xffff0000u, half_of(new_keys[from]) << 16, half_of(new_values[from]) << 16);
  } else if (low < n) {
    write_part(word, 0xffffu, half_of(new_keys[from + low]), half_of(new_values[from + low]));
  }
}
