// Products of a few weight rows with a few rows of an argument, by one subgroup: lanes across the
// columns, weight bytes read once.
//
// The shader that includes this has defined
//   MV_ROWS      constant: weight rows per subgroup
//   MV_COLS      constant: argument rows
//   MV_X4(at, i)  vec4: elements 4i..4i+3 of the argument row that begins at `at` (any number the
//                 shader chooses: an offset in elements); only used when n_cols % 4 == 0
//   MV_X(at, c)   float: element c of that row
// and has the workgroup made of whole subgroups. All lanes of a subgroup call with the same
// arguments; the calls must be in uniform control flow.
#ifndef BX_MAT_VEC_GLSL
#define BX_MAT_VEC_GLSL

#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_shuffle : require

#include "lib/weight.glsl"

// The sums: mv_acc[r * MV_COLS + c]. Private, and global because arrays sized by specialization
// constants cannot be parameters.
float mv_acc[MV_ROWS * MV_COLS];

void mat_vec_clear() {
  for (uint i = 0; i < MV_ROWS * MV_COLS; ++i) mv_acc[i] = 0.0;
}

// Adds this lane's part of
//   mv_acc[r * MV_COLS + c] += sum_k w[first_row + r, k] * x_c[k],   x_c at x_at + c * x_stride
// for r < MV_ROWS. Rows are those of the flattened [n_matrices * rows, n_cols] weight; rows at or
// beyond `end_row` are computed as end_row - 1 (the caller drops them). Sum the lanes afterwards
// with mat_vec_sum.
void mat_vec_add(const WeightRef w, const uint form, const uint n_cols, const uint first_row,
                 const uint end_row, const uint x_at, const uint x_stride) {
  for (uint k = gl_SubgroupInvocationID; k < n_cols; k += gl_SubgroupSize) {
    float x[MV_COLS];
    for (uint c = 0; c < MV_COLS; ++c) x[c] = MV_X(x_at + c * x_stride, k);
    for (uint r = 0; r < MV_ROWS; ++r) {
      const float value = weight_at(w, form, min(first_row + r, end_row - 1) * n_cols + k);
      for (uint c = 0; c < MV_COLS; ++c) mv_acc[r * MV_COLS + c] += value * x[c];
    }
  }
}

// Every lane gets the whole sums.
void mat_vec_sum() {
  for (uint i = 0; i < MV_ROWS * MV_COLS; ++i) mv_acc[i] = subgroupAdd(mv_acc[i]);
}

#endif
