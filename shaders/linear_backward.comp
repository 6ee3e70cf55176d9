// g_x[r, c] = sum_o g_y[r, o] * w[o, c] for c < n_cols, 0 for n_cols <= c < width
//
// Bindings: step; g_y [., n_out]; g_x [., width]
// A workgroup computes ROWS rows of GROUP_SIZE columns. An invocation sums a block of (ROWS / 8) rows
// by 8 columns. Slices of both factors, 16 outputs deep, pass through shared memory, so each weight
// is decoded once for all rows of the tile. Grid: x over columns, y over rows.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/step.glsl"
#include "params/linear_backward.h"

layout(local_size_x_id = BX_LINEAR_BACKWARD_GROUP_SIZE) in;
layout(constant_id = BX_LINEAR_BACKWARD_FORM) const uint kForm = 0;
layout(constant_id = BX_LINEAR_BACKWARD_OF_OUTPUTS) const bool kOfOutputs = false;
layout(constant_id = BX_LINEAR_BACKWARD_ROWS) const uint kRows = 64;

layout(set = 0, binding = 1, scalar) readonly restrict buffer GY { float g_y[]; };
layout(set = 0, binding = 2, scalar) writeonly restrict buffer GX { float g_x[]; };
layout(push_constant, scalar) uniform Push { LinearBackwardPush p; };

const uint kDepth = 16;  // outputs of a slice
const uint kBlockRows = kRows / 8;
const uint kQuads = gl_WorkGroupSize.x / 4;  // a quad is four adjacent columns

shared float slice_g[kDepth * kRows];  // [output][row]
shared vec4 slice_w[kDepth * kQuads];  // [output][quad]

// An invocation decodes sixteen columns of one output.
void put(uint i, vec4 values) {
  const uint per_output = kQuads / 4;
  const uint o = gl_LocalInvocationID.x / per_output;
  slice_w[o * kQuads + gl_LocalInvocationID.x % per_output * 4 + i] = values;
}
#define WEIGHT_SLICE_PUT(i, values) put(i, values)
#include "lib/weight_slice.glsl"

// The block of the invocation: rows block_row(i), and two quads of columns. Adjacent invocations
// have adjacent quads, so that they read adjacent elements of shared memory.
uint block_row(uint i) { return gl_LocalInvocationID.x / (kQuads / 2) * kBlockRows + i; }
uint block_quad(uint j) { return j * (kQuads / 2) + gl_LocalInvocationID.x % (kQuads / 2); }

void load_g(const uint first_row, const uint end_row, const uint first_out) {
  for (uint i = gl_LocalInvocationID.x; i < kDepth * kRows; i += gl_WorkGroupSize.x) {
    const uint o = first_out + i % kDepth;
    const uint row = first_row + i / kDepth;
    slice_g[i % kDepth * kRows + i / kDepth] =
        row < end_row && o < p.n_out ? g_y[(row - p.first_row) * p.n_out + o] : 0.0;
  }
}

void load_w(const uint first_col, const uint first_out) {
  const uint per_output = kQuads / 4;
  const uint col = first_col + gl_LocalInvocationID.x % per_output * 16;
  // Beyond the last column, no row is inside.
  weight_slice(p.weight, kForm, 0, p.n_cols, first_out + gl_LocalInvocationID.x / per_output,
               col < p.n_cols ? p.n_out : 0, col);
}

void main() {
  const uint first_row = p.first_row + gl_WorkGroupID.y * kRows;
  const uint end_row = min(p.end_row, kOfOutputs ? step_.n_outputs : step_.n_rows);
  const uint first_col = gl_WorkGroupID.x * gl_WorkGroupSize.x;
  if (first_row < end_row) {  // uniform in the workgroup
    vec4 sums[kBlockRows * 2];
    [[unroll]] for (uint i = 0; i < kBlockRows * 2; ++i) sums[i] = vec4(0.0);
    weight_slice_codebook(p.weight, kForm, 0);
    for (uint o = 0; o < p.n_out; o += kDepth) {
      barrier();
      load_g(first_row, end_row, o);
      load_w(first_col, o);
      barrier();
      [[dont_unroll]] for (uint k = 0; k < kDepth; ++k) {
        const vec4 w0 = slice_w[k * kQuads + block_quad(0)];
        const vec4 w1 = slice_w[k * kQuads + block_quad(1)];
        [[unroll]] for (uint i = 0; i < kBlockRows; ++i) {
          const float g = slice_g[k * kRows + block_row(i)];
          sums[2 * i] += g * w0;
          sums[2 * i + 1] += g * w1;
        }
      }
    }
    [[unroll]] for (uint i = 0; i < kBlockRows; ++i) {
      const uint row = first_row + block_row(i);
      [[unroll]] for (uint j = 0; j < 2; ++j) {
        const uint col = first_col + block_quad(j) * 4;
        [[unroll]] for (uint k = 0; k < 4; ++k)
          if (row < end_row && col + k < p.width)
            g_x[(row - p.first_row) * p.width + col + k] = sums[2 * i + j][k];
      }
    }
  }
}
