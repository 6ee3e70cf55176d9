// Decodes a slice of a weight of any form: 16 columns of one row. The invocations of a workgroup
// call weight_slice() to fill shared memory for a tile of a matrix product.
//
// The including shader defines
//   WEIGHT_SLICE_PUT(i, values)  receives columns 4i..4i+3 of the slice as a vec4. In unrolled
//                                loops, i is a constant
#ifndef BX_WEIGHT_SLICE_GLSL
#define BX_WEIGHT_SLICE_GLSL

#extension GL_EXT_control_flow_attributes : require

#include "lib/weight.glsl"

const uint kWeightSliceCols = 16;

// The codebooks of two weights. There is room for two, because some shaders multiply by two weights
// at once.
shared float weight_slice_codebooks[2 * 16];

// Loads the codebook of a weight that has one into table 0 or 1. The next barrier of the caller makes the
// codebook visible to all invocations.
void weight_slice_codebook(const WeightAddress w, const uint form, const uint table) {
  if (form_format(form) == BX_NF4 && gl_LocalInvocationID.x < 16)
    weight_slice_codebooks[16 * table + gl_LocalInvocationID.x] =
        codebook_at(w, gl_LocalInvocationID.x);
}

// The four bytes of a word as floats. Compilers convert a byte with one instruction.
vec4 bytes_of(const uint word) {
  return vec4(float(word & 255u), float(word >> 8 & 255u), float(word >> 16 & 255u),
              float(word >> 24));
}

void weight_slice_bytes(const WeightAddress w, const uint form, const uint at, const bool inside) {
  const uint group = at / form_group(form);
  uvec4 codes = uvec4(0);
  vec2 pair = vec2(0.0);
  if (inside) {
    codes = Quads(address_plus(w.data, at)).at[0];
    pair = scale_and_bias_of(w, form, group);
  }
  [[unroll]] for (uint i = 0; i < 4; ++i) {
    WEIGHT_SLICE_PUT(i, pair.x * bytes_of(codes.x) + pair.y);
    codes = codes.yzwx;
  }
}

// Codes of 4 bits become bytes: those at even places as they are, and those at odd places 16 times
// as large.
void weight_slice_affine(const uvec2 codes, const vec2 pair) {
  const float sixteenth = pair.x * 0.0625;
  [[unroll]] for (uint i = 0; i < 2; ++i) {
    const vec4 even = pair.x * bytes_of(codes[i] & 0x0f0f0f0fu) + pair.y;
    const vec4 odd = sixteenth * bytes_of(codes[i] & 0xf0f0f0f0u) + pair.y;
    WEIGHT_SLICE_PUT(2 * i, vec4(even.x, odd.x, even.y, odd.y));
    WEIGHT_SLICE_PUT(2 * i + 1, vec4(even.z, odd.z, even.w, odd.w));
  }
}

void weight_slice_looked_up(const uvec2 codes, const float absmax, const uint table) {
  [[unroll]] for (uint i = 0; i < 4; ++i) {
    const uvec4 four = uvec4(codes[i / 2] >> 16 * (i % 2)) >> uvec4(0, 4, 8, 12) & 15u;
    const uvec4 places = 16 * table + four;
    WEIGHT_SLICE_PUT(i, absmax * vec4(weight_slice_codebooks[places.x],
                                      weight_slice_codebooks[places.y],
                                      weight_slice_codebooks[places.z],
                                      weight_slice_codebooks[places.w]));
  }
}

void weight_slice_coded(const WeightAddress w, const uint form, const uint table, const uint at,
                        const bool inside) {
  const bool affine = form_format(form) == BX_Q4;
  const uint group = at / form_group(form);
  uvec2 codes = uvec2(0);
  vec2 pair = vec2(0.0);  // scale and bias
  if (inside) {
    codes = WordPairs(address_plus(w.data, at / 2)).at[0];
    pair = affine ? scale_and_bias_of(w, form, group) : vec2(absmax_of(w, form, group), 0.0);
  }
  if (affine)
    weight_slice_affine(codes, pair);
  else
    weight_slice_looked_up(codes, pair.x, table);
}

void weight_slice_dense(const WeightAddress w, const uint form, const uint at,
                        const uint n_inside) {
  const uint dtype = form_format(form);
  const uint per_quad = dtype == BX_F32 ? 4 : 8;
  [[unroll]] for (uint k = 0; k < kWeightSliceCols; k += per_quad) {
    // Rows begin and end at multiples of a quad, so a quad never belongs to two rows.
    uvec4 quad = uvec4(0);
    if (k < n_inside) quad = Quads(w.data).at[(at + k) / per_quad];
    [[unroll]] for (uint v = 0; v < per_quad; v += 4) {
      WEIGHT_SLICE_PUT((k + v) / 4, dense4_of(dtype, quad));
      quad = quad.zwxy;
    }
  }
}

void weight_slice_any(const WeightAddress w, const uint form, const uint at, const uint n_inside) {
  for (uint k = 0; k < kWeightSliceCols; k += 4) {
    vec4 values = vec4(0.0);
    for (uint j = 0; j < 4; ++j)
      if (k + j < n_inside) values[j] = weight_at(w, form, at + k + j);
    WEIGHT_SLICE_PUT(k / 4, values);
  }
}

// Decodes 16 columns of one row of the weight, of which the first is element `at` of the flattened
// weight. Only the first n_inside columns belong to the row, and the others give zeros. The columns
// must begin at a multiple of 16 in the row. `table` is the number of the table that holds the
// codebook of the weight.
void weight_slice_at(const WeightAddress w, const uint form, const uint table, const uint at,
                     const uint n_inside) {
  if (!form_aligned(form))
    weight_slice_any(w, form, at, n_inside);
  else if (form_format(form) < BX_Q4)
    weight_slice_dense(w, form, at, n_inside);
  else if (form_format(form) == BX_Q8)
    weight_slice_bytes(w, form, at, n_inside > 0);  // rows end at multiples of 16
  else
    weight_slice_coded(w, form, table, at, n_inside > 0);  // rows end at multiples of 32
}

// Decodes columns [first_col, first_col + 16) of one row. Rows at or beyond `end_row` give zeros.
void weight_slice(const WeightAddress w, const uint form, const uint table, const uint n_cols,
                  const uint row, const uint end_row, const uint first_col) {
  weight_slice_at(w, form, table, row * n_cols + first_col,
                  row < end_row ? n_cols - first_col : 0);
}

#endif
