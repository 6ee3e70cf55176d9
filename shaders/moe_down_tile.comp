// products[r, s, :] = down[e] @ act[r, s] for a tile of the pairs (r, s) of expert e
//
// Bindings: pairs, tiles as moe_group.comp writes them; act [R, slots, I]; products [R, slots, D]
// A work group of BX_TILE_GROUP computes BX_TILE_OUTS elements for up to 8 * ROWS pairs.
// Grid: x over D, y over tiles.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/weight.glsl"
#include "params/moe_down_tile.h"

layout(local_size_x_id = BX_MOE_DOWN_TILE_GROUP_SIZE) in;
layout(constant_id = BX_MOE_DOWN_TILE_FORM) const uint kForm = 0;
layout(constant_id = BX_MOE_DOWN_TILE_SHARED_FORM) const uint kSharedForm = BX_FORM_ABSENT;
layout(constant_id = BX_MOE_DOWN_TILE_ROWS) const uint kRows = 8;

layout(set = 0, binding = 0, scalar) readonly restrict buffer PairList { uint pairs[]; };
layout(set = 0, binding = 1, scalar) readonly restrict buffer Tiles { uvec3 tiles[]; };
// The same range twice: as numbers, and four at a time.
layout(set = 0, binding = 2, scalar) readonly buffer Act { float act[]; };
layout(set = 0, binding = 2, scalar) readonly buffer Act4 { vec4 act4[]; };
layout(set = 0, binding = 3, scalar) writeonly restrict buffer Products { float products[]; };
layout(push_constant, scalar) uniform Push { MoeDownShaderParams p; };

#define TILE_ROWS kRows
#define TILE_X(i) act[i]
#define TILE_X4(i) act4[(i) >> 2]
#include "lib/tile.glsl"

const bool kHasShared = kSharedForm != BX_FORM_ABSENT;

void main() {
  const uvec3 tile = tiles[gl_WorkGroupID.y];
  const uint first_out = gl_WorkGroupID.x * BX_TILE_OUTS;
  const bool is_shared = kHasShared && tile.x == p.n_experts;
  const bool other_form = is_shared && kSharedForm != kForm;
  const uint out_row = min(first_out + gl_LocalInvocationID.x, p.d_model - 1);
  const uint weight_row = (is_shared ? 0 : tile.x * p.d_model) + out_row;
  WeightRef down = p.down;
  if (is_shared) down = p.shared_down;

  for (uint m = gl_LocalInvocationID.x; m < kTileRows; m += BX_TILE_GROUP)
    tile_x_at[m] = pairs[tile.y + min(m, tile.z - 1)] * p.intermediate;
  if (other_form)
    tile_load_codebook(down, kSharedForm, 0);
  else
    tile_load_codebook(down, kForm, 0);
  tile_clear();
  for (uint k = 0; k < p.intermediate; k += kTileDepth) {
    barrier();
    tile_load_rows(p.intermediate, k);
    if (other_form)
      tile_load_weights(down, kSharedForm, 0, weight_row, p.intermediate, k);
    else
      tile_load_weights(down, kForm, 0, weight_row, p.intermediate, k);
    barrier();
    tile_add();
  }

  [[unroll]] for (uint i = 0; i < kRows; ++i) {
    const uint m = tile_row(i);
    if (m >= tile.z) continue;
    const uint at = pairs[tile.y + m] * p.d_model + first_out;
    [[unroll]] for (uint j = 0; j < kTilePerLane; ++j)
      if (first_out + tile_out(j) < p.d_model)
        products[at + tile_out(j)] = tile_acc[i * kTilePerLane + j];
  }
}
