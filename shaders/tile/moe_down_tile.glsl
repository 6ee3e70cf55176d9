// products[r, s, :] = down[e] @ act[r, s] for a tile of the pairs (r, s) of expert e
// act may also have one row for all slots of r.
//
// Bindings: pairs, tiles as moe_group.comp writes them; act [R, slots, I]; products [R, slots, D]
// A workgroup computes one element per invocation for each of up to ROWS pairs. Grid: x over D, y
// over tiles.
#include "lib/weight.glsl"
#include "params/moe_down_tile.h"

layout(local_size_x_id = BX_MOE_DOWN_TILE_GROUP_SIZE) in;
layout(constant_id = BX_MOE_DOWN_TILE_FORM) const uint kForm = 0;
layout(constant_id = BX_MOE_DOWN_TILE_SHARED_FORM) const uint kSharedForm = BX_FORM_ABSENT;
layout(constant_id = BX_MOE_DOWN_TILE_ROWS) const uint kRows = 64;
layout(constant_id = BX_MOE_DOWN_TILE_COLUMNS) const uint kColumns = BX_COLUMNS_ANY;

layout(set = 0, binding = 0, scalar) readonly restrict buffer PairList { uint pairs[]; };
layout(set = 0, binding = 1, scalar) readonly restrict buffer Tiles { uvec3 tiles[]; };
// Both blocks are the same binding: the shader reads its memory as floats or as vec4s.
layout(set = 0, binding = 2, scalar) readonly buffer Act { float act[]; };
layout(set = 0, binding = 2, scalar) readonly buffer Act4 { vec4 act4[]; };
layout(set = 0, binding = 3, scalar) writeonly restrict buffer Products { float products[]; };
layout(push_constant, scalar) uniform Push { MoeDownPush p; };

// Where row m of the tile begins in act. A row beyond the last pair of the tile is the last one
// again.
uint act_row(const uint m) {
  const uvec3 tile = tiles[gl_WorkGroupID.y];
  return pairs[tile.y + min(m, tile.z - 1)] / p.pairs_per_x * p.intermediate;
}

#define MM_X_ROW(m) act_row(m)
#define MM_X4(i) act4[i]
#define MM_X(i) act[i]
#include "lib/mat_mul.glsl"

const bool kHasShared = kSharedForm != BX_FORM_ABSENT;

void main() {
  const uvec3 tile = tiles[gl_WorkGroupID.y];
  const uint first_out = gl_WorkGroupID.x * gl_WorkGroupSize.x;
  if (kHasShared && tile.x == p.n_experts) {
    mat_mul(p.shared_down, kSharedForm, p.intermediate, first_out, p.d_model);
  } else {
    const uint begin = tile.x * p.d_model;
    mat_mul(p.down, kForm, p.intermediate, begin + first_out, begin + p.d_model);
  }
  const bool outs_exist = first_out + gl_WorkGroupSize.x <= p.d_model;  // uniform
  // Not `continue`: Intel's compiler does not unroll loops that have it, and then keeps mm_acc in
  // memory.
  [[unroll]] for (uint i = 0; i < kRows / 8; ++i) {
    const uint m = mm_row(i);
    if (m < tile.z) {
      const uint at = pairs[tile.y + m] * p.d_model + first_out;
      if (outs_exist) {
        [[unroll]] for (uint j = 0; j < 8; ++j) products[at + mm_out(j)] = mm_acc[i * 8 + j];
      } else {
        [[unroll]] for (uint j = 0; j < 8; ++j)
          if (first_out + mm_out(j) < p.d_model) products[at + mm_out(j)] = mm_acc[i * 8 + j];
      }
    }
  }
}
