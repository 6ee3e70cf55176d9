// Reads weights of any form through their addresses. The buffer blocks of this file are read-only:
// shaders never write memory that they reach through an address.
#ifndef BX_WEIGHT_GLSL
#define BX_WEIGHT_GLSL

#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#extension GL_EXT_scalar_block_layout : require

#include "params/types.h"

layout(buffer_reference, scalar, buffer_reference_align = 4) readonly buffer Words { uint at[]; };
layout(buffer_reference, scalar, buffer_reference_align = 4) readonly buffer Floats { float at[]; };
layout(buffer_reference, scalar, buffer_reference_align = 8) readonly buffer WordPairs {
  uvec2 at[];
};
layout(buffer_reference, scalar, buffer_reference_align = 16) readonly buffer Quads { uvec4 at[]; };
layout(buffer_reference, scalar, buffer_reference_align = 16) readonly buffer FloatQuads {
  vec4 at[];
};

// Returns address + bytes. An address is two 32-bit words, because a device may lack 64-bit
// integers.
uvec2 address_plus(const uvec2 address, const uint bytes) {
  uint carry;
  const uint low = uaddCarry(address.x, bytes, carry);
  return uvec2(low, address.y + carry);
}
// Returns address + 16 * units.
uvec2 part_address(const uvec2 address, const uint units) {
  return address_plus(uvec2(address.x, address.y + (units >> 28)), units << 4);
}

uint form_format(const uint form) { return form & 7u; }
bool form_affine(const uint form) {
  return form_format(form) == BX_Q4 || form_format(form) == BX_Q8;
}
// 1 or 0. A macro, because sizes of arrays are expressions of constants.
#define FORM_HAS_CODEBOOK(form) uint(((form) & 7u) == BX_NF4)
uint form_scale_dtype(const uint form) { return form >> 3 & 3u; }
// The size of a scale with its bias (affine).
uint form_pair_bytes(const uint form) { return form_scale_dtype(form) == BX_F32 ? 8 : 4; }
bool form_nested(const uint form) { return (form & 128u) != 0; }
bool form_aligned(const uint form) { return (form & 256u) != 0; }
uint form_group(const uint form) { return form >> 9; }

// The two floats of 16 bits in a word.
vec2 floats_of(const uint dtype, const uint word) {
  if (dtype == BX_F16) return unpackHalf2x16(word);
  return uintBitsToFloat(uvec2(word << 16, word & 0xffff0000u));
}

// Element i of an array of floats of type `dtype`.
float dense_at(const uvec2 address, const uint dtype, const uint i) {
  if (dtype == BX_F32) return Floats(address).at[i];
  const vec2 both = floats_of(dtype, Words(address).at[i >> 1]);
  return (i & 1u) == 0 ? both.x : both.y;
}

// The first four floats of a quad (16 bytes). f32 floats fill the whole quad; f16 and bf16 floats
// fill its first 8 bytes.
vec4 dense4_of(const uint dtype, const uvec4 quad) {
  if (dtype == BX_F32) return uintBitsToFloat(quad);
  return vec4(floats_of(dtype, quad.x), floats_of(dtype, quad.y));
}

// The scale and the bias of an affine group. They are neighbors in memory, so that one load of 32
// bits (of 64 bits for float32) reads both. `pairs` is the address of the pair of group 0.
vec2 scale_and_bias_at(const uvec2 pairs, const uint form, const uint group) {
  if (form_scale_dtype(form) == BX_F32) return uintBitsToFloat(WordPairs(pairs).at[group]);
  return floats_of(form_scale_dtype(form), Words(pairs).at[group]);
}
vec2 scale_and_bias_of(const WeightAddress w, const uint form, const uint group) {
  return scale_and_bias_at(part_address(w.data, w.scales), form, group);
}

// The tables of a weight with a codebook are at w.tables. They begin with float codebook[16]. If
// the scales are coded in 8 bits, these members follow: float offset, uint scales per nested scale,
// 2 words of padding, float map[256], float nested_scales[].
float codebook_at(const WeightAddress w, const uint code) {
  return Floats(part_address(w.data, w.tables)).at[code];
}
float absmax_of(const WeightAddress w, const uint form, const uint group) {
  const uvec2 scales = part_address(w.data, w.scales);
  if (!form_nested(form)) return Floats(scales).at[group];
  const uint code = Words(scales).at[group >> 2] >> 8u * (group & 3u) & 255u;
  Floats tables = Floats(part_address(w.data, w.tables));
  const float offset = tables.at[16];
  const uint per_scale = floatBitsToUint(tables.at[17]);
  // Rounded as on the host: first the product, then the sum.
  precise float scaled = tables.at[20 + code] * tables.at[276 + group / per_scale];
  precise float sum = scaled + offset;
  return sum;
}

// Element i of the flattened weight. This function reads any form, but is slow. Codes are in the
// order of the elements, and the lowest bits of a word hold the first code. (Stored nf4 weights have
// another order; packing changes it.)
float weight_at(const WeightAddress w, const uint form, const uint i) {
  if (form_format(form) < BX_Q4) return dense_at(w.data, form_format(form), i);
  const uint code = form_format(form) == BX_Q8 ? Words(w.data).at[i >> 2] >> 8u * (i & 3u) & 255u
                                               : Words(w.data).at[i >> 3] >> 4u * (i & 7u) & 15u;
  const uint group = i / form_group(form);
  if (form_affine(form)) {
    const vec2 pair = scale_and_bias_of(w, form, group);
    return pair.x * float(code) + pair.y;
  }
  return codebook_at(w, code) * absmax_of(w, form, group);
}

#endif
