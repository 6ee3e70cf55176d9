// y[r, o] = sum_c w[o, c] * n(x[r, :])[c] + residual[r, o]
// n(v)[c] = norm[c] * v[c] / sqrt(mean(v^2) + eps), or v[c] without a norm
//
// Bindings: step; x [R, n_cols]; residual [R, n_out] (or x again); y [R, n_out]
// A subgroup computes ROWS outputs for COLS rows of x; a work group the outputs of its subgroups.
// Grid: x over outputs, y over groups of COLS rows. Counts on whole subgroups.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/step.glsl"
#include "lib/weight.glsl"
#include "params/product_vec.h"

layout(local_size_x_id = BX_PRODUCT_VEC_GROUP_SIZE) in;
layout(constant_id = BX_PRODUCT_VEC_FORM) const uint kForm = 0;
layout(constant_id = BX_PRODUCT_VEC_NORM_FORM) const uint kNormForm = BX_FORM_ABSENT;
layout(constant_id = BX_PRODUCT_VEC_HAS_RESIDUAL) const bool kHasResidual = false;
layout(constant_id = BX_PRODUCT_VEC_LAST_OF_SEGMENT) const bool kLastOfSegment = false;
layout(constant_id = BX_PRODUCT_VEC_ROWS) const uint kRows = 4;
layout(constant_id = BX_PRODUCT_VEC_COLS) const uint kCols = 1;

layout(set = 0, binding = 1, scalar) readonly restrict buffer X { float x[]; };
layout(set = 0, binding = 2, scalar) readonly buffer Residual { float residual[]; };
layout(set = 0, binding = 3, scalar) buffer Y { float y[]; };
layout(push_constant, scalar) uniform Push { ProductVecParams p; };

#define MV_ROWS kRows
#define MV_COLS kCols
uint source_row[kCols];
float norm_at(uint c) { return kNormForm == BX_FORM_ABSENT ? 1.0 : Floats(p.norm.data).at[c]; }
#define MV_X(at, c) (x[source_row[at] * p.n_cols + (c)] * norm_at(c))
#include "lib/mat_vec.glsl"

void main() {
  const uint n_valid = kLastOfSegment ? step_.n_segments : step_.n_rows;
  const uint first = p.first_row + gl_WorkGroupID.y * kCols;
  for (uint c = 0; c < kCols; ++c) {
    const uint row = min(first + c, n_valid - 1);
    source_row[c] = !kLastOfSegment ? row
                                    : step_.segments[row].first_row + step_.segments[row].n_rows - 1;
  }
  float scale[kCols];
  for (uint c = 0; c < kCols; ++c) {
    scale[c] = 1.0;
    if (kNormForm != BX_FORM_ABSENT) {
      float sum = 0;
      for (uint k = gl_SubgroupInvocationID; k < p.n_cols; k += gl_SubgroupSize) {
        const float v = x[source_row[c] * p.n_cols + k];
        sum += v * v;
      }
      scale[c] = inversesqrt(subgroupAdd(sum) / float(p.n_cols) + p.eps);
    }
  }
  const uint first_out = (gl_WorkGroupID.x * gl_NumSubgroups + gl_SubgroupID) * kRows;
  mat_vec_clear();
  mat_vec_add(p.weight, kForm, p.n_cols, first_out, p.n_out, 0, 1);
  mat_vec_sum();
  for (uint i = gl_SubgroupInvocationID; i < kRows * kCols; i += gl_SubgroupSize) {
    const uint o = first_out + i / kCols;
    const uint row = first + i % kCols;
    if (o >= p.n_out || row >= n_valid) continue;
    float value = 0.0;
    for (uint j = 0; j < kRows * kCols; ++j)
      if (j == i) value = mv_acc[j] * scale[j % kCols];
    if (kHasResidual) value += residual[row * p.n_out + o];
    y[row * p.n_out + o] = value;
  }
}
