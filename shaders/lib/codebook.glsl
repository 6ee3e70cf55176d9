// Looks up codes of 4 bits, in a table in shared memory or in the lanes of a subgroup.
//
// The including shader defines
//   CODEBOOKS  constant: the number of codebooks that it needs at once; 0 if no weight has one
//   MV_CODES   constant: BX_CODES_IN_LANES for lanes, any other for tables (params/mat_vec.h)
#ifndef BX_CODEBOOK_GLSL
#define BX_CODEBOOK_GLSL

#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require

#include "lib/weight.glsl"
#include "params/mat_vec.h"

// Entry 256 * book + i holds the values of the two codes in byte i. A table of bytes needs one
// access and 4 instructions for two codes, with the two multiply-adds. Single codes need two
// accesses and 6 instructions, and subgroup shuffles 19 on AMD's RDNA 2 (12 and more scalar ones),
// where lanes read from other lanes through shared memory, too. Compilers set shared memory aside
// even if nothing uses it, so without codebooks the table has only one entry.
shared vec2 codebook_pairs[256 * CODEBOOKS + 1];

// Fills the table of codebook `book`, if the weight has one. All invocations of the workgroup must
// call this function, and then codebook_barrier() once.
void load_codebook(const WeightAddress w, const uint form, const uint book) {
  if (form_format(form) != BX_NF4 || MV_CODES == BX_CODES_IN_LANES) return;
  for (uint i = gl_LocalInvocationID.x; i < 256; i += gl_WorkGroupSize.x)
    codebook_pairs[256 * book + i] = vec2(codebook_at(w, i & 15u), codebook_at(w, i >> 4));
}
void codebook_barrier() {
  if (CODEBOOKS != 0 && MV_CODES != BX_CODES_IN_LANES) barrier();
}

// The 16 values of a codebook, spread over the lanes of a subgroup. With 16 lanes or more, lane i
// holds value i % 16 in `low`. With 8 lanes, lane i holds value i in `low` and value i + 8 in
// `high`. With fewer lanes, every lane holds all values in `all`.
struct LaneCodebook {
  float low, high;
  vec4 all[4];
};
LaneCodebook lane_codebook;

void spread_codebook(const WeightAddress w, const uint form) {
  if (form_format(form) != BX_NF4 || MV_CODES != BX_CODES_IN_LANES) return;
  const uint lane = gl_SubgroupInvocationID;
  if (gl_SubgroupSize >= 8) lane_codebook.low = codebook_at(w, lane & 15u);
  if (gl_SubgroupSize == 8) lane_codebook.high = codebook_at(w, lane + 8);
  if (gl_SubgroupSize < 8)
    for (uint i = 0; i < 4; ++i)
      lane_codebook.all[i] = FloatQuads(part_address(w.data, w.tables)).at[i];
}

// All lanes of the subgroup must call this function together.
float lane_codebook_value(const uint code) {
  if (gl_SubgroupSize >= 16) return subgroupShuffle(lane_codebook.low, code);
  if (gl_SubgroupSize == 8) {
    const float low = subgroupShuffle(lane_codebook.low, code & 7u);
    const float high = subgroupShuffle(lane_codebook.high, code & 7u);
    return code < 8 ? low : high;
  }
  const vec4 four = code < 8 ? (code < 4 ? lane_codebook.all[0] : lane_codebook.all[1])
                             : (code < 12 ? lane_codebook.all[2] : lane_codebook.all[3]);
  const vec2 two = (code & 2u) == 0 ? four.xy : four.zw;
  return (code & 1u) == 0 ? two.x : two.y;
}

// The values of the eight codes of a word. All lanes of the subgroup must call this function
// together if the codebook is in lanes.
void codebook_values(const uint book, const uint word, out vec4 low, out vec4 high) {
  if (MV_CODES == BX_CODES_IN_LANES) {
    for (uint i = 0; i < 4; ++i) {
      low[i] = lane_codebook_value(word >> 4 * i & 15u);
      high[i] = lane_codebook_value(word >> 4 * i + 16 & 15u);
    }
  } else {
    const uint table = 256 * book;
    low = vec4(codebook_pairs[table + (word & 255u)], codebook_pairs[table + (word >> 8 & 255u)]);
    high = vec4(codebook_pairs[table + (word >> 16 & 255u)], codebook_pairs[table + (word >> 24)]);
  }
}

#endif
