// g_x[r, c] = sum_o g_y[r, o] * w[o, c] for c < n_cols, 0 for n_cols <= c < width
//
// Bindings: step; g_y [., n_out]; g_x [., width]
// A workgroup computes ROWS rows of GROUP_SIZE columns (lib/mat_back.glsl). Grid: x over columns, y
// over rows.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/step.glsl"
#include "lib/weight.glsl"
#include "params/linear_backward.h"

layout(local_size_x_id = BX_LINEAR_BACKWARD_GROUP_SIZE) in;
layout(constant_id = BX_LINEAR_BACKWARD_FORM) const uint kForm = 0;
layout(constant_id = BX_LINEAR_BACKWARD_OF_OUTPUTS) const bool kOfOutputs = false;
layout(constant_id = BX_LINEAR_BACKWARD_ROWS) const uint kRows = 64;

layout(set = 0, binding = 1, scalar) readonly restrict buffer GY { float g_y[]; };
layout(set = 0, binding = 2, scalar) writeonly restrict buffer GX { float g_x[]; };
layout(push_constant, scalar) uniform Push { LinearBackwardPush p; };

// The rows of the tile.
uint first_row, end_row;

#define MB_ROWS kRows
#define MB_G(m, o) \
  (first_row + (m) < end_row ? g_y[(first_row + (m) - p.first_row) * p.n_out + (o)] : 0.0)
#include "lib/mat_back.glsl"

void main() {
  first_row = p.first_row + gl_WorkGroupID.y * kRows;
  end_row = min(p.end_row, kOfOutputs ? step_.n_outputs : step_.n_rows);
  const uint first_col = gl_WorkGroupID.x * gl_WorkGroupSize.x;
  if (first_row < end_row) {  // uniform in the workgroup
    mat_back(p.weight, kForm, p.n_cols, 0, p.n_out, first_col);
    [[unroll]] for (uint i = 0; i < kMbBlockRows; ++i) {
      const uint row = first_row + mb_row(i);
      [[unroll]] for (uint j = 0; j < 2; ++j) {
        const uint col = first_col + mb_quad(j) * 4;
        [[unroll]] for (uint k = 0; k < 4; ++k)
          if (row < end_row && col + k < p.width)
            g_x[(row - p.first_row) * p.width + col + k] = mb_sums[2 * i + j][k];
      }
    }
  }
}
