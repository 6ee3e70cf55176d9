// The argument rows of lib/mat_vec.glsl, with a norm, for a launch that computes all rows of a step of
// a few rows.
//
// The including shader defines what lib/norm_x.glsl needs. It declares x[] and x4[], the same memory as
// floats and as vec4s, and has kRows and p.d_model. It calls find_rows() first.
#ifndef BX_FEW_ROWS_GLSL
#define BX_FEW_ROWS_GLSL

#include "lib/norm_x.glsl"
#include "lib/step.glsl"

// The step may have fewer rows. Rows beyond the last one are computed as that one.
uint source_row[kRows];
uint source_quad[kRows];  // the first vec4 of each row; only used with many rows
void find_rows() {
  for (uint r = 0; r < kRows; ++r) {
    source_row[r] = kRows == 1 ? 0 : min(r, step_.n_rows - 1);
    source_quad[r] = source_row[r] * (p.d_model / 4);
  }
}
uint first_quad(const uint at) {
  return kRows > 4 ? source_quad[at] : source_row[at] * (p.d_model / 4);
}
#define MV_X(at, c) norm_x(at, c, x[source_row[at] * p.d_model + (c)])
#define MV_X4(at, i) norm_x4(at, i, x4[first_quad(at) + (i)])

#endif
