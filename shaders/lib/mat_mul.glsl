// One workgroup computes a tile of a matrix product:
//   mm_acc += w[first_row + o, :] . x_m[:]   for o < MM_OUTS, m < MM_ROWS
// Slices of both factors, MM_DEPTH columns deep, pass through shared memory. Each weight is decoded
// once for all rows of the tile. Each invocation sums a block of (MM_ROWS / 8) rows by 8 outputs.
//
// The including shader defines
//   MM_GROUP      constant: the number of invocations of the workgroup, a multiple of 8. The tile
//                 has the same number of outputs
//   MM_ROWS       constant: the number of argument rows of a tile, a multiple of 8
//   MM_X4(m, i)   vec4: elements 4i..4i+3 of the tile's row m; only used when n_cols % 4 == 0
//   MM_X(m, c)    float: element c of the tile's row m
// MM_X4 and MM_X must give 0 for missing rows.
#ifndef BX_MAT_MUL_GLSL
#define BX_MAT_MUL_GLSL

#extension GL_EXT_control_flow_attributes : require

#include "lib/weight.glsl"

#define MM_OUTS MM_GROUP
#define MM_DEPTH 16u  // columns of a slice of the weight
const uint kMmBlockRows = MM_ROWS / 8;
const uint kMmBlocksAcross = MM_GROUP / 8;

// The slices of both factors. A vec4 holds four columns of one row. The next vec4 holds the same
// columns of the next row.
shared vec4 mm_x[MM_DEPTH / 4 * MM_ROWS];
shared vec4 mm_w[MM_DEPTH / 4 * MM_OUTS];

// The sums of the invocation's block. mm_acc[i * 8 + j] is the sum for row mm_row(i) and output
// mm_out(j) of the tile. Adjacent invocations have adjacent outputs, so that they read adjacent
// elements of shared memory.
float mm_acc[kMmBlockRows * 8];

uint mm_row(uint i) { return gl_LocalInvocationID.x / kMmBlocksAcross * kMmBlockRows + i; }
uint mm_out(uint j) { return j * kMmBlocksAcross + gl_LocalInvocationID.x % kMmBlocksAcross; }

void mm_load_x(const uint n_cols, const uint first_col) {
  for (uint mm_i = gl_LocalInvocationID.x; mm_i < MM_ROWS * (MM_DEPTH / 4); mm_i += MM_GROUP) {
    const uint mm_m = mm_i % MM_ROWS;
    const uint mm_c = first_col + mm_i / MM_ROWS * 4;
    vec4 mm_v = vec4(0.0);
    if ((n_cols & 3u) == 0) {
      if (mm_c < n_cols) mm_v = MM_X4(mm_m, mm_c / 4);
    } else {
      for (uint mm_j = 0; mm_j < 4; ++mm_j)
        if (mm_c + mm_j < n_cols) mm_v[mm_j] = MM_X(mm_m, mm_c + mm_j);
    }
    mm_x[mm_i] = mm_v;
  }
}

// Stores columns 4i..4i+3 of the slice for the invocation's row of the weight.
void mm_store_w(uint i, vec4 values) { mm_w[i * MM_OUTS + gl_LocalInvocationID.x] = values; }

#define WEIGHT_SLICE_PUT(i, values) mm_store_w(i, values)
#include "lib/weight_slice.glsl"

// Multiplies the two slices and adds to mm_acc. The products of four columns are added to each
// other first and then to the sum. So the sum is rounded a quarter as often.
void mm_multiply_slices() {
  [[dont_unroll]] for (uint k = 0; k < MM_DEPTH / 4; ++k) {
    vec4 w4[8];
    [[unroll]] for (uint j = 0; j < 8; ++j) w4[j] = mm_w[k * MM_OUTS + mm_out(j)];
    [[unroll]] for (uint i = 0; i < kMmBlockRows; ++i) {
      const vec4 x4 = mm_x[k * MM_ROWS + mm_row(i)];
      [[unroll]] for (uint j = 0; j < 8; ++j) mm_acc[i * 8 + j] += dot(x4, w4[j]);
    }
  }
}

void mm_clear() {
  [[unroll]] for (uint i = 0; i < kMmBlockRows * 8; ++i) mm_acc[i] = 0.0;
}

// Computes mm_acc. Output o of the tile comes from row first_row + o of the flattened weight. If
// that row is at or beyond end_row, the output is 0. All invocations of the workgroup must call
// this function, in uniform control flow.
void mat_mul(const WeightAddress w, const uint form, const uint n_cols, const uint first_row,
             const uint end_row) {
  mm_clear();
  weight_slice_codebook(w, form, 0);
  for (uint c = 0; c < n_cols; c += MM_DEPTH) {
    barrier();
    mm_load_x(n_cols, c);
    weight_slice(w, form, 0, n_cols, first_row + gl_LocalInvocationID.x, end_row, c);
    barrier();
    mm_multiply_slices();
  }
}

#endif
