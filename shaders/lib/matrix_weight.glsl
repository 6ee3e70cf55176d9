// Decodes 16 columns of a row of a weight of any form into halves. Matrix units multiply halves.
//
// A matrix product adds over columns, so the columns of both factors may be in another order. Codes
// of 4 bits are taken apart fastest if columns k and k + 4 of each 8 columns become a pair of halves.
//
// The including shader defines
//   MATRIX_CODEBOOKS   constant: the number of codebooks that it needs at once; 0 if no weight has one
//   MATRIX_FULL        constant: every 16 columns that are asked for exist
//   MATRIX_PUT(i, q)   stores columns 8i..8i+7 as a uvec4 of pairs of halves
//   MATRIX_PUT_PAIR(i, word)  stores columns 2i and 2i+1
#ifndef BX_MATRIX_WEIGHT_GLSL
#define BX_MATRIX_WEIGHT_GLSL

#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require

#include "lib/weight.glsl"

// Whether the columns of a weight of this form are in the order 0 4 1 5 2 6 3 7.
bool matrix_is_turned(const uint form) { return form_format(form) == BX_Q4 && form_aligned(form); }

// Entry 256 * book + i holds the values of the two codes of byte i, as halves. Compilers set shared
// memory aside even if nothing uses it, so without codebooks the table has only a few entries. Their
// size is a multiple of 16 bytes, because some compilers then place the next array there, and matrix
// units need its alignment.
shared uint matrix_codebooks[256 * MATRIX_CODEBOOKS + 4];

// Fills the table of codebook `book`, if the weight has one. The next barrier of the caller makes it
// visible.
void matrix_load_codebook(const WeightAddress w, const uint form, const uint book) {
  if (form_format(form) != BX_NF4) return;
  for (uint i = gl_LocalInvocationID.x; i < 256; i += gl_WorkGroupSize.x)
    matrix_codebooks[256 * book + i] =
        packHalf2x16(vec2(codebook_at(w, i & 15u), codebook_at(w, i >> 4)));
}

uvec4 matrix_halves(const vec4 first, const vec4 second) {
  return uvec4(packHalf2x16(first.xy), packHalf2x16(first.zw), packHalf2x16(second.xy),
               packHalf2x16(second.zw));
}
// The columns of `first` are 0..3, those of `second` 4..7.
uvec4 matrix_halves_turned(const vec4 first, const vec4 second) {
  return uvec4(packHalf2x16(vec2(first.x, second.x)), packHalf2x16(vec2(first.y, second.y)),
               packHalf2x16(vec2(first.z, second.z)), packHalf2x16(vec2(first.w, second.w)));
}
uint low_halves(const uint a, const uint b) { return (a & 0xffffu) | b << 16; }
uint high_halves(const uint a, const uint b) { return a >> 16 | (b & 0xffff0000u); }
// From the order 0 4 1 5 2 6 3 7 to the order 0 1 2 3 4 5 6 7, and back.
uvec4 matrix_turned_back(const uvec4 v) {
  return uvec4(low_halves(v.x, v.y), low_halves(v.z, v.w), high_halves(v.x, v.y),
               high_halves(v.z, v.w));
}
uvec4 matrix_turned(const uvec4 v) {
  return uvec4(low_halves(v.x, v.z), high_halves(v.x, v.z), low_halves(v.y, v.w),
               high_halves(v.y, v.w));
}

// scale * code + bias for two codes below 1024, which are in bits 0.. and 16.. of `codes`. As the
// mantissa of a half, a code is 1024 too large.
uint matrix_scaled(const uint codes, const f16vec2 scale, const f16vec2 bias) {
  const f16vec2 values = unpackFloat2x16(codes | 0x64006400u) - f16vec2(1024.0);
  return packFloat2x16(fma(values, scale, bias));
}
f16vec2 matrix_twice(const float value) { return f16vec2(float16_t(value)); }

uvec4 matrix_codes4(const uint word, const vec2 pair) {
  const f16vec2 scale = matrix_twice(pair.x);
  const f16vec2 bias = matrix_twice(pair.y);
  return uvec4(matrix_scaled(word & 0x000f000fu, scale, bias),
               matrix_scaled(word >> 4 & 0x000f000fu, scale, bias),
               matrix_scaled(word >> 8 & 0x000f000fu, scale, bias),
               matrix_scaled(word >> 12 & 0x000f000fu, scale, bias));
}
uvec4 matrix_codes8(const uvec2 words, const vec2 pair) {
  const f16vec2 scale = matrix_twice(pair.x);
  const f16vec2 bias = matrix_twice(pair.y);
  uvec4 values;
  [[unroll]] for (uint i = 0; i < 2; ++i) {
    const uint even = matrix_scaled(words[i] & 0x00ff00ffu, scale, bias);
    const uint odd = matrix_scaled(words[i] >> 8 & 0x00ff00ffu, scale, bias);
    values[2 * i] = low_halves(even, odd);
    values[2 * i + 1] = high_halves(even, odd);
  }
  return values;
}
uvec4 matrix_from_codebook(const uint book, const uint word, const float absmax) {
  const f16vec2 scale = matrix_twice(absmax);
  uvec4 values;
  [[unroll]] for (uint i = 0; i < 4; ++i)
    values[i] = packFloat2x16(
        unpackFloat2x16(matrix_codebooks[256 * book + (word >> 8 * i & 255u)]) * scale);
  return values;
}

// Columns 8i..8i+7 of a dense weight, from element `at` on. Rows begin and end at multiples of a
// quad, so a quad never belongs to two rows.
uvec4 matrix_dense(const WeightAddress w, const uint dtype, const uint at, const uint n_inside) {
  if (dtype == BX_F32) {
    vec4 values[2] = {vec4(0.0), vec4(0.0)};
    [[unroll]] for (uint i = 0; i < 2; ++i)
      if (MATRIX_FULL || 4 * i < n_inside) values[i] = FloatQuads(w.data).at[at / 4 + i];
    return matrix_halves(values[0], values[1]);
  }
  uvec4 quad = uvec4(0);
  if (MATRIX_FULL || n_inside > 0) quad = Quads(w.data).at[at / 8];
  if (dtype == BX_F16) return quad;
  return matrix_halves(vec4(floats_of(dtype, quad.x), floats_of(dtype, quad.y)),
                       vec4(floats_of(dtype, quad.z), floats_of(dtype, quad.w)));
}

// Decodes 16 columns, from element `at` on. `book` is the number of the weight's codebook. `turned`
// says in which order the columns are stored. Columns at or beyond n_inside give zeros.
void matrix_weight(const WeightAddress w, const uint form, const uint book, const bool turned,
                   const uint at, const uint n_inside) {
  if (!form_aligned(form)) {
    for (uint i = 0; i < 8; ++i) {
      vec2 values = vec2(0.0);
      for (uint j = 0; j < 2; ++j) {
        // The column that place 2i + j of the slice has.
        const uint k = turned ? (i & 4u) * 2 + (i & 3u) + 4 * j : 2 * i + j;
        if (MATRIX_FULL || k < n_inside) values[j] = weight_at(w, form, at + k);
      }
      MATRIX_PUT_PAIR(i, packHalf2x16(values));
    }
    return;
  }
  const uint format = form_format(form);
  uvec4 halves[2] = {uvec4(0), uvec4(0)};
  if (format < BX_Q4) {
    [[unroll]] for (uint i = 0; i < 2; ++i)
      halves[i] = matrix_dense(w, format, at + 8 * i, n_inside - min(n_inside, 8 * i));
  } else if (MATRIX_FULL || n_inside > 0) {  // rows of codes end at multiples of 16
    const uint group = at / form_group(form);
    if (format == BX_Q8) {
      const uvec4 words = Quads(w.data).at[at / 16];
      const vec2 pair = scale_and_bias_of(w, form, group);
      halves[0] = matrix_codes8(words.xy, pair);
      halves[1] = matrix_codes8(words.zw, pair);
    } else {
      const uvec2 words = WordPairs(w.data).at[at / 16];
      if (format == BX_Q4) {
        const vec2 pair = scale_and_bias_of(w, form, group);
        halves[0] = matrix_codes4(words.x, pair);
        halves[1] = matrix_codes4(words.y, pair);
      } else {
        const float absmax = absmax_of(w, form, group);
        halves[0] = matrix_from_codebook(book, words.x, absmax);
        halves[1] = matrix_from_codebook(book, words.y, absmax);
      }
    }
  }
  [[unroll]] for (uint i = 0; i < 2; ++i) {
    uvec4 eight = halves[i];
    if (matrix_is_turned(form) && !turned) eight = matrix_turned_back(eight);
    if (!matrix_is_turned(form) && turned) eight = matrix_turned(eight);
    MATRIX_PUT(i, eight);
  }
}

#endif
