// One workgroup computes a tile of a matrix product:
//   mm_acc += w[first_row + o, :] . x_m[:]   for o < MM_OUTS, m < MM_ROWS
// Slices of both factors, MM_DEPTH columns deep, pass through shared memory. Each weight is decoded
// once for all rows of the tile. Each invocation sums a block of (MM_ROWS / 8) rows by 8 outputs.
//
// The including shader defines
//   MM_GROUP      constant: the number of invocations of the workgroup, a multiple of 8 and of
//                 MM_ROWS. The tile has the same number of outputs
//   MM_ROWS       constant: the number of argument rows of a tile, a multiple of 8
//   MM_X_ROW(m)   uint: where the tile's row m begins in x. A missing row may be any other row
//   MM_X_QUADS    bool, uniform: whether all rows begin at multiples of 4
//   MM_X4(i)      vec4: elements 4i..4i+3 of x; only used when MM_X_QUADS
//   MM_X(i)       float: element i of x
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

// Each invocation loads parts of one row of x. kMmRowLoaders invocations share a row.
const uint kMmRowLoaders = MM_GROUP / MM_ROWS;
uint mm_x_at;  // where the row begins in x

void mm_load_x(const uint n_cols, const uint first_col) {
  const uint to = gl_LocalInvocationID.x % MM_ROWS;
  const uint first = gl_LocalInvocationID.x / MM_ROWS;
  const uint from = mm_x_at + first_col;
  if (MM_X_QUADS && first_col + MM_DEPTH <= n_cols) {  // uniform
    [[unroll]] for (uint t = 0; t < MM_DEPTH / 4; t += kMmRowLoaders)
      if (kMmRowLoaders <= MM_DEPTH / 4 || first < MM_DEPTH / 4)
        mm_x[(t + first) * MM_ROWS + to] = MM_X4(from / 4 + t + first);
    return;
  }
  [[dont_unroll]] for (uint k = first; k < MM_DEPTH / 4; k += kMmRowLoaders) {
    vec4 v = vec4(0.0);
    [[unroll]] for (uint e = 0; e < 4; ++e)
      if (first_col + 4 * k + e < n_cols) v[e] = MM_X(from + 4 * k + e);
    mm_x[k * MM_ROWS + to] = v;
  }
}

// Stores columns 4i..4i+3 of the slice for the invocation's row of the weight.
void mm_store_w(uint i, vec4 values) { mm_w[i * MM_OUTS + gl_LocalInvocationID.x] = values; }

#define WEIGHT_SLICE_PUT(i, values) mm_store_w(i, values)
#include "lib/weight_slice.glsl"

// Multiplies the two slices and adds to mm_acc. Each product is one fused multiply-add. dot() would
// be a product, three multiply-adds and an addition on many compilers.
void mm_multiply_slices() {
  [[dont_unroll]] for (uint k = 0; k < MM_DEPTH / 4; ++k) {
    vec4 w4[8];
    [[unroll]] for (uint j = 0; j < 8; ++j) w4[j] = mm_w[k * MM_OUTS + mm_out(j)];
    [[unroll]] for (uint i = 0; i < kMmBlockRows; ++i) {
      const vec4 x4 = mm_x[k * MM_ROWS + mm_row(i)];
      // Four sums at a time: a CPU holds no more in registers, and a GPU needs some that do not
      // depend on each other.
      [[unroll]] for (uint block = 0; block < 2; ++block)
        [[unroll]] for (uint e = 0; e < 4; ++e)
          [[unroll]] for (uint q = 0; q < 4; ++q) {
            const uint j = block * 4 + q;
            mm_acc[i * 8 + j] = x4[e] * w4[j][e] + mm_acc[i * 8 + j];
          }
    }
  }
}

// Begins a product: the sums are 0, and the row of x that this invocation loads is known.
void mm_begin() {
  [[unroll]] for (uint i = 0; i < kMmBlockRows * 8; ++i) mm_acc[i] = 0.0;
  mm_x_at = MM_X_ROW(gl_LocalInvocationID.x % MM_ROWS);
}

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
    weight_slice_at(w, form, 0, row_at + c, n_cols - c);
    barrier();
    mm_multiply_slices();
  }
}

#endif
