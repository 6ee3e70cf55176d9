// y[r, s, c] = sum_o g[r, s, o] * w[e, o, c] for a tile of the pairs (r, s) of expert e
// g may also have one row for all slots of r. With ADDS, the sums are added to y.
//
// Bindings: pairs, tiles as moe_group.comp writes them; g [R * top_k / pairs_per_g, n_out];
//   y [R, top_k, n_cols]
// A workgroup computes GROUP_SIZE columns for each of up to ROWS pairs (lib/mat_back.glsl). Grid: x
// over columns, y over tiles.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/weight.glsl"
#include "params/moe_back.h"

layout(local_size_x_id = BX_MOE_BACK_GROUP_SIZE) in;
layout(constant_id = BX_MOE_BACK_FORM) const uint kForm = 0;
layout(constant_id = BX_MOE_BACK_ADDS) const bool kAdds = false;
layout(constant_id = BX_MOE_BACK_ROWS) const uint kRows = 64;

layout(set = 0, binding = 0, scalar) readonly restrict buffer PairList { uint pairs[]; };
layout(set = 0, binding = 1, scalar) readonly restrict buffer Tiles { uvec3 tiles[]; };
layout(set = 0, binding = 2, scalar) readonly restrict buffer G { float g[]; };
layout(set = 0, binding = 3, scalar) restrict buffer Y { float y[]; };
layout(push_constant, scalar) uniform Push { MoeBackPush p; };

shared uint tile_pairs[kRows];
uint n_pairs;  // of the tile

#define MB_ROWS kRows
#define MB_G(m, o) ((m) < n_pairs ? g[tile_pairs[m] / p.pairs_per_g * p.n_out + (o)] : 0.0)
#include "lib/mat_back.glsl"

void main() {
  const uvec3 tile = tiles[gl_WorkGroupID.y];
  const uint first_col = gl_WorkGroupID.x * gl_WorkGroupSize.x;
  n_pairs = tile.z;
  for (uint m = gl_LocalInvocationID.x; m < n_pairs; m += gl_WorkGroupSize.x)
    tile_pairs[m] = pairs[tile.y + m];
  barrier();  // all pairs are there
  mat_back(p.weight, kForm, p.n_cols, tile.x * p.n_out, p.n_out, first_col);
  [[unroll]] for (uint i = 0; i < kMbBlockRows; ++i) {
    const uint m = mb_row(i);
    if (m >= n_pairs) continue;
    [[unroll]] for (uint j = 0; j < 2; ++j) {
      const uint col = first_col + mb_quad(j) * 4;
      [[unroll]] for (uint k = 0; k < 4; ++k) {
        if (col + k >= p.n_cols) continue;
        const uint at = tile_pairs[m] * p.n_cols + col + k;
        y[at] = kAdds ? y[at] + mb_sums[2 * i + j][k] : mb_sums[2 * i + j][k];
      }
    }
  }
}
