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
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/group_sum.glsl"
#include "lib/product_rows.glsl"
#include "lib/weight.glsl"
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

// Both blocks are the same binding: the shader reads its memory as floats or as vec4s.
layout(set = 0, binding = 1, scalar) readonly buffer X { float x[]; };
layout(set = 0, binding = 1, scalar) readonly buffer X4 { vec4 x4[]; };
layout(set = 0, binding = 2, scalar) readonly buffer Other { float other[]; };
layout(set = 0, binding = 3, scalar) buffer Y { float y[]; };
layout(push_constant, scalar) uniform Push { ProductVecPush p; };

#include "lib/product_end.glsl"

const bool kHasNorm = kNormForm != BX_FORM_ABSENT;
const bool kHasUp = kUpForm != BX_FORM_ABSENT;

#define MV_OUTS kOuts
#define MV_ROWS kRows
uint source_row[kRows];
float norm_at(uint c) { return kHasNorm ? Floats(p.norm.data).at[c] : 1.0; }
vec4 norm4_at(uint i) { return kHasNorm ? FloatQuads(p.norm.data).at[i] : vec4(1.0); }
// Columns 4i..4i+3 of a row of x. If the width of x is not a multiple of 4, the row may begin
// anywhere in a vec4.
vec4 x4_at(uint at, uint i) {
  if (kXQuads) return x4[source_row[at] * (p.x_width / 4) + i];
  const uint from = source_row[at] * p.x_width + 4 * i;
  return vec4(x[from], x[from + 1], x[from + 2], x[from + 3]);
}
#define MV_X(at, c) (x[source_row[at] * p.x_width + (c)] * norm_at(c))
#define MV_X4(at, i) (x4_at(at, i) * norm4_at(i))
#include "lib/mat_vec.glsl"

float sum_of_squares(uint row) {
  float sum = 0.0;
  for (uint c = gl_LocalInvocationID.x; c < p.n_cols; c += gl_WorkGroupSize.x) {
    const float v = x[row * p.x_width + c];
    sum += v * v;
  }
  return group_sum(sum);
}

// Computes mv_acc for outputs first_out, first_out + 1, ... of one weight.
void multiply(const WeightAddress w, const uint form, const uint first_out) {
  mat_vec_clear();
  mat_vec_add(w, form, p.n_cols, p.weight_row + first_out, p.weight_row + p.end_out, 0, 1);
  mat_vec_sum();
}

// Computes those rows of [first, first + kRows) of the result that are below end_row.
void compute(uint first, uint end_row) {
  for (uint r = 0; r < kRows; ++r) source_row[r] = source_of(kSource, min(first + r, end_row - 1));
  float scale[kRows];
  for (uint r = 0; r < kRows; ++r)
    scale[r] = kHasNorm ? 1.0 / sqrt(sum_of_squares(source_row[r]) / float(p.n_cols) + p.eps) : 1.0;

  const uint first_out =
      p.first_out + (gl_WorkGroupID.x * gl_NumSubgroups + gl_SubgroupID) * kOuts;
  if (first_out >= p.end_out) return;  // uniform in the subgroup
  multiply(p.weight, kForm, first_out);
  float gate[kOuts * kRows];  // only with a second weight
  if (kHasUp) {
    for (uint i = 0; i < kOuts * kRows; ++i) gate[i] = mv_acc[i] * scale[i % kRows];
    multiply(p.up, kUpForm, first_out);
  }
  for (uint i = gl_SubgroupInvocationID; i < kOuts * kRows; i += gl_SubgroupSize) {
    const uint o = first_out + i / kRows;
    const uint row = first + i % kRows;
    if (o >= p.end_out || row >= end_row) continue;
    float value = 0.0;
    float gate_value = 0.0;
    for (uint j = 0; j < kOuts * kRows; ++j)
      if (j == i) {
        value = mv_acc[j] * scale[j % kRows];
        if (kHasUp) gate_value = gate[j];
      }
    if (kHasUp) value *= silu(gate_value);
    const uint at = (row - p.first_row) * p.n_out + o;
    y[at] = product_end(value, o, at);
  }
}

void main() {
  const uint end_row = min(p.end_row, valid_rows(kSource));
  const uint first = p.first_row + gl_WorkGroupID.y * kRows;
  if (first < end_row) compute(first, end_row);  // uniform in the workgroup
}
