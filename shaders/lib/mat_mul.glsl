// One workgroup computes a tile of a matrix product:
//   mm_acc += w[first_row + o, :] . x_m[:]   for o < MM_OUTS, m < kRows
// Slices of both factors, MM_DEPTH columns deep, pass through shared memory. Each weight is decoded
// once for all rows of the tile. Each invocation sums a block of (kRows / 8) rows by 8 outputs.
//
// A workgroup has a multiple of 8 and of kRows invocations, and its tile as many outputs. The including
// shader has the constants
//   kRows         the number of argument rows of a tile, a multiple of 8
//   kColumns      what is known about the columns (params/columns.h)
// and defines
//   MM_X_ROW(m)   uint: where the tile's row m begins in x. A missing row may be any other row
//   MM_X4(i)      vec4: elements 4i..4i+3 of x; not used if nothing is known
//   MM_X(i)       float: element i of x
//   MM_FLOAT16    if defined, slices are halves, which are multiplied in pairs
#ifndef BX_MAT_MUL_GLSL
#define BX_MAT_MUL_GLSL

#extension GL_EXT_control_flow_attributes : require

#include "lib/weight.glsl"
#include "params/columns.h"

#define MM_OUTS gl_WorkGroupSize.x
const uint kMmBlockRows = kRows / 8;
const uint kMmBlocksAcross = gl_WorkGroupSize.x / 8;

// The sums of the invocation's block. mm_acc[i * 8 + j] is the sum for row mm_row(i) and output
// mm_out(j) of the tile. Adjacent invocations have adjacent outputs, so that they read adjacent
// elements of shared memory.
float mm_acc[kMmBlockRows * 8];

uint mm_row(uint i) { return gl_LocalInvocationID.x / kMmBlocksAcross * kMmBlockRows + i; }
uint mm_out(uint j) { return j * kMmBlocksAcross + gl_LocalInvocationID.x % kMmBlocksAcross; }

// Columns 4i..4i+3 of x, from element `from` on. Columns at or beyond `n_inside` are 0.
vec4 mm_x_quad(const uint from, const uint i, const uint n_inside) {
  vec4 v = vec4(0.0);
  [[unroll]] for (uint e = 0; e < 4; ++e)
    if (4 * i + e < n_inside) v[e] = MM_X(from + 4 * i + e);
  return v;
}

// Whether a slice has all its columns, and rows of x are whole vec4s. Uniform.
#define MM_IS_WHOLE(n_cols, first_col) \
  (kColumns == BX_COLUMNS_FULL ||      \
   kColumns == BX_COLUMNS_QUADS && (first_col) + MM_DEPTH <= (n_cols))

// Both files define MM_DEPTH and these functions:
//   mm_x_loaded()         the row of the tile of which this invocation loads a part
//   mm_load_x()           loads a slice of x
//   mm_put_w(i, values)   takes columns 4i..4i+3 of the slice of the invocation's row of the weight
//   mm_end_w()            stores that slice after all of it has been taken
//   mm_multiply_slices()  multiplies both slices and adds to mm_acc
uint mm_x_at;      // where the row of x begins of which this invocation loads a part
uint mm_w_quad;    // the place of the next 16 columns in the slice of the weight, in units of 4
#ifdef MM_FLOAT16
#include "lib/mat_mul_halves.glsl"
#else
#include "lib/mat_mul_floats.glsl"
#endif

#define WEIGHT_SLICE_PUT(i, values) mm_put_w(mm_w_quad + (i), values)
#include "lib/weight_slice.glsl"

// Begins a product: the sums are 0, and the row of x that this invocation loads is known.
void mm_begin() {
  [[unroll]] for (uint i = 0; i < kMmBlockRows * 8; ++i) mm_acc[i] = 0.0;
  mm_x_at = MM_X_ROW(mm_x_loaded());
}

// The number of columns from `column` to the end of the row, if there are fewer than in a slice.
uint mm_inside(const uint n_cols, const uint column) {
  if (kColumns == BX_COLUMNS_FULL) return MM_DEPTH;
  return column < n_cols ? n_cols - column : 0;
}

// Calls LOAD(column, n_inside) for the first of each 16 columns of the slice that begins at column c.
// n_inside is the number of columns from there on. LOAD decodes the weight.
#define MM_LOAD_W(c, n_cols, LOAD)                                              \
  [[unroll]] for (uint mm_run = 0; mm_run < MM_DEPTH; mm_run += kWeightSliceCols) { \
    mm_w_quad = mm_run / 4;                                                     \
    LOAD((c) + mm_run, mm_inside(n_cols, (c) + mm_run));                        \
  }                                                                             \
  mm_end_w();

// Computes mm_acc. Output o of the tile comes from row first_row + o of the flattened weight. If
// that row is at or beyond end_row, the output is that of the last row. All invocations of the
// workgroup must call this function, in uniform control flow.
void mat_mul(const WeightAddress w, const uint form, const uint n_cols, const uint first_row,
             const uint end_row) {
  mm_begin();
  weight_slice_codebook(w, form, 0);
  const uint row_at = min(first_row + gl_LocalInvocationID.x, end_row - 1) * n_cols;
  for (uint c = 0; c < n_cols; c += MM_DEPTH) {
    barrier();
    mm_load_x(n_cols, c);
#define MM_LOAD(column, n_inside) weight_slice_at(w, form, 0, row_at + (column), n_inside)
    MM_LOAD_W(c, n_cols, MM_LOAD)
#undef MM_LOAD
    barrier();
    mm_multiply_slices();
  }
}

#endif
