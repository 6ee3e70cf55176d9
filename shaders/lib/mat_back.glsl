// The transposed product of a tile of rows with a block of columns of a matrix:
//   sums[m, c] = sum_o g[m, o] * w[o, c]
// An invocation sums a block of (ROWS / 8) rows by 8 columns. Slices of both factors, 16 outputs
// deep, pass through shared memory, so each weight is decoded once for all rows of the tile.
//
// The including shader defines
//   MB_ROWS     the rows of the tile, a multiple of 8
//   MB_G(m, o)  element o of row m of g, and 0 for a missing row
#ifndef BX_MAT_BACK_GLSL
#define BX_MAT_BACK_GLSL

#extension GL_EXT_control_flow_attributes : require

const uint kMbDepth = 16;  // outputs of a slice
const uint kMbBlockRows = MB_ROWS / 8;
const uint kMbQuads = gl_WorkGroupSize.x / 4;  // a quad is four adjacent columns

shared float mb_slice_g[kMbDepth * MB_ROWS];    // [output][row]
shared vec4 mb_slice_w[kMbDepth * kMbQuads];    // [output][quad]

// An invocation decodes sixteen columns of one output.
void mb_put(uint i, vec4 values) {
  const uint per_output = kMbQuads / 4;
  const uint o = gl_LocalInvocationID.x / per_output;
  mb_slice_w[o * kMbQuads + gl_LocalInvocationID.x % per_output * 4 + i] = values;
}
#define WEIGHT_SLICE_PUT(i, values) mb_put(i, values)
#include "lib/weight_slice.glsl"

// The sums of the block of the invocation: rows mb_row(i), and two quads of columns. Adjacent
// invocations have adjacent quads, so that they read adjacent elements of shared memory.
vec4 mb_sums[kMbBlockRows * 2];  // [row][quad]
uint mb_row(uint i) { return gl_LocalInvocationID.x / (kMbQuads / 2) * kMbBlockRows + i; }
uint mb_quad(uint j) { return j * (kMbQuads / 2) + gl_LocalInvocationID.x % (kMbQuads / 2); }

void mb_load_g(const uint first_out, const uint n_out) {
  for (uint i = gl_LocalInvocationID.x; i < kMbDepth * MB_ROWS; i += gl_WorkGroupSize.x) {
    const uint o = first_out + i % kMbDepth;
    mb_slice_g[i % kMbDepth * MB_ROWS + i / kMbDepth] = o < n_out ? MB_G(i / kMbDepth, o) : 0.0;
  }
}

// Computes the sums for the columns from first_col on. The matrix begins at row first_row of the
// weight. All invocations must call this function, in uniform control flow.
void mat_back(const WeightAddress w, const uint form, const uint n_cols, const uint first_row,
              const uint n_out, const uint first_col) {
  const uint per_output = kMbQuads / 4;
  const uint col = first_col + gl_LocalInvocationID.x % per_output * 16;
  [[unroll]] for (uint i = 0; i < kMbBlockRows * 2; ++i) mb_sums[i] = vec4(0.0);
  weight_slice_codebook(w, form, 0);
  for (uint o = 0; o < n_out; o += kMbDepth) {
    barrier();
    mb_load_g(o, n_out);
    // Beyond the last column, no row is inside.
    weight_slice(w, form, 0, n_cols, first_row + o + gl_LocalInvocationID.x / per_output,
                 col < n_cols ? first_row + n_out : 0, col);
    barrier();
    [[dont_unroll]] for (uint k = 0; k < kMbDepth; ++k) {
      const vec4 w0 = mb_slice_w[k * kMbQuads + mb_quad(0)];
      const vec4 w1 = mb_slice_w[k * kMbQuads + mb_quad(1)];
      [[unroll]] for (uint i = 0; i < kMbBlockRows; ++i) {
        const float g = mb_slice_g[k * MB_ROWS + mb_row(i)];
        mb_sums[2 * i] += g * w0;
        mb_sums[2 * i + 1] += g * w1;
      }
    }
  }
}

#endif
