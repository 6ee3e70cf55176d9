// y[r, o] = sum_c w[weight_row + o, c] * n(x[s(r), :])[c] + residual[r, o]
// n(v)[c] = norm[c] * v[c] / sqrt(mean(v^2) + eps), or v[c] without a norm
// s(r) is source_of() in lib/product_rows.glsl.
//
// Bindings: step; x [., n_cols]; residual [., n_out] (or x again); y [., n_out]
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
layout(constant_id = BX_PRODUCT_VEC_HAS_RESIDUAL) const bool kHasResidual = false;
layout(constant_id = BX_PRODUCT_VEC_SOURCE) const uint kSource = BX_ROWS_OF_TOKENS;
layout(constant_id = BX_PRODUCT_VEC_OUTS) const uint kOuts = 4;
layout(constant_id = BX_PRODUCT_VEC_ROWS) const uint kRows = 1;

// Both blocks are the same binding: the shader reads its memory as floats or as vec4s.
layout(set = 0, binding = 1, scalar) readonly buffer X { float x[]; };
layout(set = 0, binding = 1, scalar) readonly buffer X4 { vec4 x4[]; };
layout(set = 0, binding = 2, scalar) readonly buffer Residual { float residual[]; };
layout(set = 0, binding = 3, scalar) buffer Y { float y[]; };
layout(push_constant, scalar) uniform Push { ProductVecPush p; };

const bool kHasNorm = kNormForm != BX_FORM_ABSENT;

#define MV_OUTS kOuts
#define MV_ROWS kRows
uint source_row[kRows];
float norm_at(uint c) { return kHasNorm ? Floats(p.norm.data).at[c] : 1.0; }
vec4 norm4_at(uint i) { return kHasNorm ? FloatQuads(p.norm.data).at[i] : vec4(1.0); }
#define MV_X(at, c) (x[source_row[at] * p.n_cols + (c)] * norm_at(c))
#define MV_X4(at, i) (x4[source_row[at] * (p.n_cols / 4) + (i)] * norm4_at(i))
#include "lib/mat_vec.glsl"

float sum_of_squares(uint row) {
  float sum = 0.0;
  for (uint c = gl_LocalInvocationID.x; c < p.n_cols; c += gl_WorkGroupSize.x) {
    const float v = x[row * p.n_cols + c];
    sum += v * v;
  }
  return group_sum(sum);
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
  mat_vec_clear();
  mat_vec_add(p.weight, kForm, p.n_cols, p.weight_row + first_out, p.weight_row + p.end_out, 0, 1);
  mat_vec_sum();
  for (uint i = gl_SubgroupInvocationID; i < kOuts * kRows; i += gl_SubgroupSize) {
    const uint o = first_out + i / kRows;
    const uint row = first + i % kRows;
    if (o >= p.end_out || row >= end_row) continue;
    float value = 0.0;
    for (uint j = 0; j < kOuts * kRows; ++j)
      if (j == i) value = mv_acc[j] * scale[j % kRows];
    const uint at = (row - p.first_row) * p.n_out + o;
    if (kHasResidual) value += residual[at];
    y[at] = value;
  }
}

void main() {
  const uint end_row = min(p.end_row, valid_rows(kSource));
  const uint first = p.first_row + gl_WorkGroupID.y * kRows;
  if (first < end_row) compute(first, end_row);  // uniform in the workgroup
}
