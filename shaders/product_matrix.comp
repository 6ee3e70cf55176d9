// y[r, o] = end(sum_c half(w[weight_row + o, c]) * half(x[s(r), c]))
//   end() adds a bias, and may add a residual or apply a gate: lib/product_end.glsl
// The products are computed on matrix units. s(r) is source_of() in lib/product_rows.glsl. half()
// rounds to float16; sums are float32.
//
// Bindings: step; x [., x_width]; other [., n_out] (or x again); y [., n_out]
// A workgroup computes a tile of ROWS rows by OUTS outputs. Grid: x over outputs, y over rows.
// Requires workgroups of exactly SUBGROUPS full subgroups.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/product_rows.glsl"
#include "lib/weight.glsl"
#include "params/product_matrix.h"

layout(constant_id = BX_PRODUCT_MATRIX_FORM) const uint kForm = 0;
layout(constant_id = BX_PRODUCT_MATRIX_OTHER) const uint kOther = 0;
layout(constant_id = BX_PRODUCT_MATRIX_SOURCE) const uint kSource = BX_ROWS_OF_TOKENS;
layout(constant_id = BX_PRODUCT_MATRIX_HAS_BIAS) const bool kHasBias = false;

// Both blocks are the same binding: the shader reads its memory as floats or as vec4s.
layout(set = 0, binding = 1, scalar) readonly buffer X { float x[]; };
layout(set = 0, binding = 1, scalar) readonly buffer X4 { vec4 x4[]; };
layout(set = 0, binding = 2, scalar) readonly buffer Other { float other[]; };
layout(set = 0, binding = 3, scalar) buffer Y { float y[]; };
layout(push_constant, scalar) uniform Push { ProductTilePush p; };

#include "lib/product_end.glsl"

uint first_row();
uint end_row() { return min(p.end_row, valid_rows(kSource)); }
uint first_out();
uint x_from(const uint m) {
  return source_of(kSource, min(first_row() + m, end_row() - 1)) * p.x_width;
}
uint w_from(const uint o) {
  return (p.weight_row + min(first_out() + o, p.end_out - 1)) * p.n_cols;
}

#define MT_PAIRED false
#define MT_X4(i) x4[i]
#define MT_X(i) x[i]
#define MT_X_FROM(m) x_from(m)
#define MT_W_FROM(o) w_from(o)
#define MT_DECODE(is_second, turned, at, inside) \
  matrix_weight(p.weight, kForm, 0, turned, at, inside)
#define MATRIX_CODEBOOKS FORM_HAS_CODEBOOK(kForm)
#include "lib/matrix_tile.glsl"

uint first_row() { return p.first_row + gl_WorkGroupID.y * kRows; }
uint first_out() { return p.first_out + gl_WorkGroupID.x * kOuts; }

// Writes the subgroup's fragment whose first element is row `row`, output `o`.
void write_fragment(const uint row, const uint o) {
  [[unroll]] for (uint i = 0; i < kEach; ++i) {
    const uint r = row + mt_element_row(i);
    const uint out_at = o + mt_element_column(i);
    const uint at = (r - p.first_row) * p.n_out + out_at;
    if (r < end_row() && out_at < p.end_out) y[at] = product_end(mt_element(i), out_at, at);
  }
}

// Writes a fragment that is inside the result. The matrix units' own order of the elements is good
// enough for memory.
void write_whole_fragment(MT_SUM fragment, const uint row, const uint o) {
  const uint at = (row - p.first_row) * p.n_out + o;
  if (kOther != BX_OTHER_NONE) {
    MT_SUM others;
    coopMatLoad(others, other, at, p.n_out, gl_CooperativeMatrixLayoutRowMajor);
    if (kOther == BX_OTHER_ADDED) fragment += others;
    if (kOther == BX_OTHER_GATED)
      [[unroll]] for (uint i = 0; i < fragment.length(); ++i)
        fragment[i] = silu(fragment[i]) * others[i];
  }
  coopMatStore(fragment, y, at, p.n_out, gl_CooperativeMatrixLayoutRowMajor);
}

void main() {
  if (first_row() >= end_row()) return;  // uniform in the workgroup
  matrix_load_codebook(p.weight, kForm, 0);
  mt_product(matrix_is_turned(kForm), p.n_cols);
  const bool whole = !kHasBias && (p.n_out & 3u) == 0 && first_row() + kRows <= end_row() &&
                     first_out() + kOuts <= p.end_out;
  [[unroll]] for (uint i = 0; i < kTall; ++i)
    [[unroll]] for (uint j = 0; j < kWide; ++j) {
      const uint row = first_row() + mt_row() + i * kM;
      const uint o = first_out() + mt_out(j);
      if (whole) {
        write_whole_fragment(mt_sums[i * kWide + j], row, o);
      } else {
        mt_put(mt_sums[i * kWide + j]);
        write_fragment(row, o);
      }
    }
}
