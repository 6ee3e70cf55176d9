// Each query is spread over kLanes adjacent lanes. These lanes read the pages of the KV cache. A
// unit is four elements of a head. Lane l of a query holds units l, l + kLanes, ... of the head,
// and zeros instead of units beyond the end of the head.
//
// Bindings: 1 q [R, D]; 2, 3 keys and 4, 5 values as words and as pairs of words
#ifndef BX_ATTENTION_LANES_GLSL
#define BX_ATTENTION_LANES_GLSL

#extension GL_KHR_shader_subgroup_basic : require

#include "lib/attention.glsl"
#include "lib/lanes_sum.glsl"

layout(local_size_x_id = BX_ATTENTION_GROUP_SIZE) in;
layout(constant_id = BX_ATTENTION_HALF) const bool kHalf = true;
layout(constant_id = BX_ATTENTION_ALIGNED) const bool kAligned = true;
layout(constant_id = BX_ATTENTION_LANES) const uint kLanes = 4;
layout(constant_id = BX_ATTENTION_UNITS) const uint kUnits = 5;
layout(constant_id = BX_ATTENTION_SHARED) const uint kShared = 1;

layout(set = 0, binding = 1, scalar) readonly buffer Q { float q_rows[]; };
layout(set = 0, binding = 2, scalar) readonly buffer KeyWords { uint key_words[]; };
layout(set = 0, binding = 3, scalar) readonly buffer KeyPairs { uvec2 key_pairs[]; };
layout(set = 0, binding = 4, scalar) readonly buffer ValueWords { uint value_words[]; };
layout(set = 0, binding = 5, scalar) readonly buffer ValuePairs { uvec2 value_pairs[]; };

float element_of(const uint word, const uint e) {
  if (!kHalf) return uintBitsToFloat(word);
  const vec2 both = unpackHalf2x16(word);
  return (e & 1u) == 0 ? both.x : both.y;
}
vec4 halves_of(const uvec2 pair) { return vec4(unpackHalf2x16(pair.x), unpackHalf2x16(pair.y)); }
uint word_of(const uint e) { return kHalf ? e >> 1 : e; }

// Defines a function uvec4 name(e, n), which loads elements e..e+3 of keys or values. If n < 4, only the
// first n of them are read, and the others are 0. loaded_unit() makes floats of the result: four halves
// take two registers until then, and whoever loads several units first waits for all of them together.
#define BX_PAGE_READER(name, words, pairs)                                                  \
  uvec4 name(const uint e, const uint n) {                                                  \
    if (kAligned && kHalf) return uvec4(pairs[e >> 2], 0, 0);                               \
    if (kAligned) return uvec4(pairs[e >> 1], pairs[(e >> 1) + 1]);                         \
    return floatBitsToUint(vec4(element_of(words[word_of(e)], e),                           \
                                n > 1 ? element_of(words[word_of(e + 1)], e + 1) : 0.0,     \
                                n > 2 ? element_of(words[word_of(e + 2)], e + 2) : 0.0,     \
                                n > 3 ? element_of(words[word_of(e + 3)], e + 3) : 0.0));   \
  }
BX_PAGE_READER(load_key, key_words, key_pairs)
BX_PAGE_READER(load_value, value_words, value_pairs)
vec4 loaded_unit(const uvec4 loaded) {
  return kAligned && kHalf ? halves_of(loaded.xy) : uintBitsToFloat(loaded);
}
vec4 key_unit(const uint e, const uint n) { return loaded_unit(load_key(e, n)); }
vec4 value_unit(const uint e, const uint n) { return loaded_unit(load_value(e, n)); }

uint head_units() { return (p.head_dim + 3) / 4; }

// Unit u of the query of one row and head, multiplied by the scale.
vec4 query_unit(const uint row, const uint head, const uint u) {
  vec4 unit = vec4(0.0);
  const uint at = (row * p.n_heads + head) * p.head_dim + 4 * u;
  for (uint i = 0; i < 4; ++i)
    if (4 * u + i < p.head_dim) unit[i] = q_rows[at + i] * p.scale;
  return unit;
}

// The first head of queries of a workgroup of index `group`.
uint first_head(const uint group) { return group * kShared; }
// The head of keys and values that a head of queries uses.
uint kv_head(const uint head) { return head / (p.n_heads / p.n_kv_heads); }

// The index of the first element of a head of keys or values, in the row of a position.
uint kv_element(const SegmentWords segment, const uint position, const uint head) {
  return (page_row(segment, p.page_group, position) * p.n_kv_heads + head) * p.head_dim;
}

#endif
