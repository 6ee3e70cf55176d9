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

void weight_slice_bytes(const WeightAddress w, const uint form, const uint at, const bool inside) {
  const uint group = at / form_group(form);
  uvec4 codes = uvec4(0);
  vec2 pair = vec2(0.0);
  if (inside) {
    codes = Quads(w.data).at[at / 16];
    pair = scale_and_bias_of(w, form, group);
  }
  [[unroll]] for (uint i = 0; i < 4; ++i) {
    const uvec4 four = codes.xxxx >> uvec4(0, 8, 16, 24) & 255u;
    codes = codes.yzwx;
    WEIGHT_SLICE_PUT(i, pair.x * vec4(four) + pair.y);
  }
}

void weight_slice_coded(const WeightAddress w, const uint form, const uint table, const uint at,
                        const bool inside) {
  const bool affine = form_format(form) == BX_Q4;
  const uint group = at / form_group(form);
  uvec2 codes = uvec2(0);
  vec2 pair = vec2(0.0);  // scale and bias
  if (inside) {
    codes = WordPairs(w.data).at[at / 16];
    pair = affine ? scale_and_bias_of(w, form, group) : vec2(absmax_of(w, form, group), 0.0);
  }
  [[unroll]] for (uint i = 0; i < 4; ++i) {
    const uvec4 four = uvec4(codes[i / 2] >> 16 * (i % 2)) >> uvec4(0, 4, 8, 12) & 15u;
    const uvec4 places = 16 * table + four;
    const vec4 values =
        affine ? pair.x * vec4(four) + pair.y
               : pair.x * vec4(weight_slice_codebooks[places.x], weight_slice_codebooks[places.y],
                               weight_slice_codebooks[places.z], weight_slice_codebooks[places.w]);
    WEIGHT_SLICE_PUT(i, values);
  }
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

// Decodes columns [first_col, first_col + 16) of one row of the weight. `table` is the number of
// the table that holds the codebook of the weight. Columns beyond the last column give zeros, as
// do rows at or beyond `end_row`. first_col must be a multiple of 16.
void weight_slice(const WeightAddress w, const uint form, const uint table, const uint n_cols,
                  const uint row, const uint end_row, const uint first_col) {
  const uint at = row * n_cols + first_col;
  const uint n_inside = row < end_row ? n_cols - first_col : 0;
  if (!form_aligned(form))
    weight_slice_any(w, form, at, n_inside);
  else if (form_format(form) < BX_Q4)
    weight_slice_dense(w, form, at, n_inside);
  else if (form_format(form) == BX_Q8)
    weight_slice_bytes(w, form, at, n_inside > 0);  // rows end at multiples of 16
  else
    weight_slice_coded(w, form, table, at, n_inside > 0);  // rows end at multiples of 32
}

#endif
