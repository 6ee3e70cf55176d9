// y[r, o] = end(sum_c w[weight_row + o, c] * n(x[s(r), :n_cols])[c])
//   end() adds a bias, and may add a residual: lib/product_end.glsl
// With a second weight:
//   y[r, o] = silu(the same sum) * sum_c up[weight_row + o, c] * n(x[s(r), :n_cols])[c]
// n(v)[c] = norm[c] * v[c] / sqrt(mean(v^2) + eps), or v[c] without a norm
// s(r) is source_of() in lib/product_rows.glsl.
//
// Bindings: step; x [., x_width]; other [., n_out] (or x again); y [., n_out]
// A subgroup computes OUTS outputs for ROWS rows of x; a workgroup computes the outputs of its
// subgroups. Grid: x over outputs, y over groups of ROWS rows. Requires whole subgroups.
#include "lib/product_rows.glsl"
#include "lib/weight.glsl"
#include "params/mat_vec.h"
#include "params/product_vec.h"

layout(local_size_x_id = BX_PRODUCT_VEC_GROUP_SIZE) in;
layout(constant_id = BX_PRODUCT_VEC_FORM) const uint kForm = 0;
layout(constant_id = BX_PRODUCT_VEC_NORM_FORM) const uint kNormForm = BX_FORM_ABSENT;
layout(constant_id = BX_PRODUCT_VEC_OTHER) const uint kOther = 0;
layout(constant_id = BX_PRODUCT_VEC_SOURCE) const uint kSource = BX_ROWS_OF_TOKENS;
layout(constant_id = BX_PRODUCT_VEC_OUTS) const uint kOuts = 4;
layout(constant_id = BX_PRODUCT_VEC_ROWS) const uint kRows = 1;
layout(constant_id = BX_PRODUCT_VEC_HAS_BIAS) const bool kHasBias = false;
layout(constant_id = BX_PRODUCT_VEC_UP_FORM) const uint kUpForm = BX_FORM_ABSENT;
layout(constant_id = BX_PRODUCT_VEC_X_QUADS) const bool kXQuads = true;
layout(constant_id = BX_PRODUCT_VEC_CODES) const uint kCodes = BX_CODES_AS_BYTES;

// Both blocks are the same binding: the shader reads its memory as floats or as vec4s.
layout(set = 0, binding = 1, scalar) readonly buffer X { float x[]; };
layout(set = 0, binding = 1, scalar) readonly buffer X4 { vec4 x4[]; };
layout(set = 0, binding = 2, scalar) readonly buffer Other { float other[]; };
layout(set = 0, binding = 3, scalar) buffer Y { float y[]; };
layout(push_constant, scalar) uniform Push { ProductVecPush p; };

#include "lib/product_end.glsl"

const bool kHasNorm = kNormForm != BX_FORM_ABSENT;
const bool kHasUp = kUpForm != BX_FORM_ABSENT;
const uint kUpBook = FORM_HAS_CODEBOOK(kForm);

#define CODEBOOKS (FORM_HAS_CODEBOOK(kForm) + FORM_HAS_CODEBOOK(kUpForm))
#define MV_CODES kCodes
#define MV_OUTS kOuts
#define MV_ROWS kRows
uint source_row[kRows];
uint source_quad[kRows];  // the first vec4 of each row; only used with many rows
#define NORM_ROWS kRows
#include "lib/norm_x.glsl"
// Columns 4i..4i+3 of a row of x. If the width of x is not a multiple of 4, the row may begin
// anywhere in a vec4.
vec4 x4_at(uint at, uint i) {
  if (kXQuads) return x4[(kRows > 4 ? source_quad[at] : source_row[at] * (p.x_width / 4)) + i];
  const uint from = source_row[at] * p.x_width + 4 * i;
  return vec4(x[from], x[from + 1], x[from + 2], x[from + 3]);
}
#define MV_X(at, c) norm_x(at, c, x[source_row[at] * p.x_width + (c)])
#define MV_X4(at, i) norm_x4(at, i, x4_at(at, i))
#include "lib/mat_vec.glsl"

// Computes mv_acc for outputs first_out, first_out + 1, ... of one weight.
void multiply(const WeightAddress w, const uint form, const uint book, const uint first_out) {
  mat_vec_clear();
  mat_vec_add(w, form, book, p.n_cols, p.weight_row + first_out, p.weight_row + p.end_out, 0, 1);
}

// Computes those rows of [first, first + kRows) of the result that are below end_row.
void compute(uint first, uint end_row) {
  for (uint r = 0; r < kRows; ++r) {
    source_row[r] = source_of(kSource, min(first + r, end_row - 1));
    source_quad[r] = source_row[r] * (p.x_width / 4);
  }
  load_codebook(p.weight, kForm, 0);
  load_codebook(p.up, kUpForm, kUpBook);
  codebook_barrier();

  const uint first_out =
      p.first_out + (gl_WorkGroupID.x * gl_NumSubgroups + gl_SubgroupID) * kOuts;
  if (!kWholeGroups && first_out >= p.end_out) return;  // uniform in the subgroup
  clear_norm();
  multiply(p.weight, kForm, 0, first_out);
  norm_sum();
  float factor[kRows];
  for (uint r = 0; r < kRows; ++r) {
    factor[r] = norm_factor(r, p.n_cols, p.eps);
    mat_vec_scale(r, factor[r]);
  }
  mat_vec_sum();
  float gate[MV_SUMS_OF_LANE];  // only with a second weight
  if (kHasUp) {
    for (uint j = 0; j < MV_SUMS_OF_LANE; ++j) gate[j] = mv_acc[j];
    norm_sums_squares = false;
#ifdef BX_INTEGER_DOTS
    dot_keeps_x = true;
#endif
    multiply(p.up, kUpForm, kUpBook, first_out);
    for (uint r = 0; r < kRows; ++r) mat_vec_scale(r, factor[r]);
    mat_vec_sum();
  }
  for (uint j = 0; j < MV_SUMS_OF_LANE; ++j) {
    const uint i = mat_vec_sum_index(j);
    const uint o = first_out + i / kRows;
    const uint row = first + i % kRows;
    if (i < kOuts * kRows && o < p.end_out && row < end_row) {
      const float value = kHasUp ? silu(gate[j]) * mv_acc[j] : mv_acc[j];
      const uint at = (row - p.first_row) * p.n_out + o;
      y[at] = product_end(value, o, at);
    }
  }
}

void main() {
  const uint end_row = min(p.end_row, valid_rows(kSource));
  const uint first = p.first_row + gl_WorkGroupID.y * kRows;
  if (first < end_row) compute(first, end_row);  // uniform in the workgroup
}
