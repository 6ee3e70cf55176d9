// Looks up nf4 codes in registers. Memory and shared memory are slower, and a constant array with a
// dynamic index is slower still.
#ifndef BX_CODEBOOK_GLSL
#define BX_CODEBOOK_GLSL

#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require

#include "lib/weight.glsl"

// The 16 entries of a codebook, spread over the lanes of a subgroup. With 16 lanes or more, lane i
// holds entry i % 16 in `low`. With 8 lanes, lane i holds entry i in `low` and entry i + 8 in
// `high`. With fewer lanes, every lane holds all entries in `entries`.
struct Codebook {
  float low, high;
  vec4 entries[4];
};

Codebook codebook_of(const WeightAddress w, const uint form) {
  Codebook book;
  book.low = book.high = 0.0;
  for (uint i = 0; i < 4; ++i) book.entries[i] = vec4(0.0);
  if (form_format(form) != BX_NF4) return book;
  if (gl_SubgroupSize >= 16) {
    book.low = codebook_at(w, gl_SubgroupInvocationID & 15u);
  } else if (gl_SubgroupSize == 8) {
    book.low = codebook_at(w, gl_SubgroupInvocationID);
    book.high = codebook_at(w, gl_SubgroupInvocationID + 8);
  } else {
    FloatQuads tables = FloatQuads(part_address(w.data, w.biases));
    for (uint i = 0; i < 4; ++i) book.entries[i] = tables.at[i];
  }
  return book;
}

// The codebook entry for `code`. All lanes of the subgroup must call this function together.
float codebook_value(const Codebook book, const uint code) {
  if (gl_SubgroupSize >= 16) return subgroupShuffle(book.low, code);
  if (gl_SubgroupSize == 8) {
    const float low = subgroupShuffle(book.low, code & 7u);
    const float high = subgroupShuffle(book.high, code & 7u);
    return code < 8 ? low : high;
  }
  const vec4 four = code < 8 ? (code < 4 ? book.entries[0] : book.entries[1])
                             : (code < 12 ? book.entries[2] : book.entries[3]);
  const vec2 two = (code & 2u) == 0 ? four.xy : four.zw;
  return (code & 1u) == 0 ? two.x : two.y;
}

vec4 codebook_values(const Codebook book, const uvec4 codes) {
  return vec4(codebook_value(book, codes.x), codebook_value(book, codes.y),
              codebook_value(book, codes.z), codebook_value(book, codes.w));
}

#endif
