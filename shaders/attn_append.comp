// keys[p(r) mod capacity, :] = new_keys[r, :], where p(r) is the position of row r. The same holds
// for values and new_values. "Ring" means a ring buffer of the KV cache.
//
// Bindings: step; new_keys, new_values [R, D]; keys, values [capacity, D] of each slot, as words
// An invocation writes one word of each ring. In a float16 ring with odd D, two adjacent rows may
// share a word. Another invocation may then write the other half of the word at the same time.
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

// Writes only the bits of `mask` in a word of each ring. Another invocation may write the other
// bits of the word at the same time.
void write_part(const uint keys_at, const uint values_at, const uint mask, const uint key,
                const uint value) {
  atomicAnd(keys[keys_at], ~mask);
  atomicOr(keys[keys_at], key);
  atomicAnd(values[values_at], ~mask);
  atomicOr(values[values_at], value);
}

void main() {
  const uint row = gl_WorkGroupID.y;
  const SegmentWords segment = step_.segments[segment_of(row)];
  const uint ring_row = (segment.position + (row - segment.first_row)) % p.capacity;
  const uint first = ring_row * p.d_model;  // element within the slot
  const uint from = row * p.d_model;
  const uint keys_at = segment.slot * p.keys_stride;
  const uint values_at = segment.slot * p.values_stride;
  const uint i = gl_GlobalInvocationID.x;
  if (!kHalf) {
    if (i < p.d_model) {
      keys[keys_at + first + i] = floatBitsToUint(new_keys[from + i]);
      values[values_at + first + i] = floatBitsToUint(new_values[from + i]);
    }
    return;
  }
  // The column of the lower half of the word. If a column is outside [0, d_model), that half of the
  // word belongs to another row.
  const int low = int(2 * i) - int(first & 1u);
  const int high = low + 1;
  const uint word = first / 2 + i;
  const int n = int(p.d_model);
  if (low >= 0 && high < n) {
    keys[keys_at + word] = halves_word(new_keys[from + low], new_keys[from + high]);
    values[values_at + word] = halves_word(new_values[from + low], new_values[from + high]);
  } else if (low < 0) {
    write_part(keys_at + word, values_at + word, 0xffff0000u, half_of(new_keys[from]) << 16,
               half_of(new_values[from]) << 16);
  } else if (low < n) {
    write_part(keys_at + word, values_at + word, 0xffffu, half_of(new_keys[from + low]),
               half_of(new_values[from + low]));
  }
}
