// products[r, s, :] = down[e] @ act[r, s] for a tile of the pairs (r, s) of expert e
// The products are computed on matrix units: both factors are rounded to float16, sums are float32.
//
// Bindings: pairs, tiles as moe_group.comp writes them; act [R, slots, I]; products [R, slots, D]
// A workgroup computes OUTS elements for each of up to ROWS pairs. Grid: x over D, y over tiles.
// Requires workgroups of exactly SUBGROUPS full subgroups.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/weight.glsl"
#include "params/moe_down_matrix.h"

layout(constant_id = BX_MOE_DOWN_MATRIX_FORM) const uint kForm = 0;
layout(constant_id = BX_MOE_DOWN_MATRIX_SHARED_FORM) const uint kSharedForm = BX_FORM_ABSENT;

layout(set = 0, binding = 0, scalar) readonly restrict buffer PairList { uint pairs[]; };
layout(set = 0, binding = 1, scalar) readonly restrict buffer Tiles { uvec3 tiles[]; };
// Both blocks are the same binding: the shader reads its memory as floats or as vec4s.
layout(set = 0, binding = 2, scalar) readonly buffer Act { float act[]; };
layout(set = 0, binding = 2, scalar) readonly buffer Act4 { vec4 act4[]; };
layout(set = 0, binding = 3, scalar) writeonly restrict buffer Products { float products[]; };
layout(push_constant, scalar) uniform Push { MoeDownPush p; };

const bool kHasShared = kSharedForm != BX_FORM_ABSENT;
uvec3 tile;             // expert, first pair, number of pairs
bool is_shared;         // the expert of the tile is the shared one
WeightAddress down;     // of the tile, unless the shared expert has another form
uint first_weight_row;  // of output 0

// If the tile has fewer than kRows pairs, the missing rows repeat its last row.
uint x_from(const uint m) {
  return pairs[tile.y + min(m, tile.z - 1)] / p.pairs_per_x * p.intermediate;
}
uint w_from(const uint o);
void decode(const bool turned, const uint at, const uint inside);

#define MT_PAIRED false
#define MT_X4(i) act4[i]
#define MT_X(i) act[i]
#define MT_X_FROM(m) x_from(m)
#define MT_W_FROM(o) w_from(o)
#define MT_DECODE(is_second, turned, at, inside) decode(turned, at, inside)
#define MATRIX_CODEBOOKS (FORM_HAS_CODEBOOK(kForm) | FORM_HAS_CODEBOOK(kSharedForm))
#include "lib/matrix_tile.glsl"

uint first_out() { return gl_WorkGroupID.x * kOuts; }
uint w_from(const uint o) {
  return (first_weight_row + min(first_out() + o, p.d_model - 1)) * p.intermediate;
}

void decode(const bool turned, const uint at, const uint inside) {
  if (kHasShared && kSharedForm != kForm && is_shared)
    matrix_weight(p.shared_down, kSharedForm, 0, turned, at, inside);
  else
    matrix_weight(down, kForm, 0, turned, at, inside);
}

// Writes the fragment whose first element is row m of the tile, output `o`.
void write_fragment(const uint m, const uint o) {
  [[unroll]] for (uint i = 0; i < kEach; ++i) {
    const uint row = m + mt_element_row(i);
    const uint out_at = o + mt_element_column(i);
    if (row < tile.z && out_at < p.d_model)
      products[pairs[tile.y + row] * p.d_model + out_at] = mt_element(i);
  }
}

void main() {
  tile = tiles[gl_WorkGroupID.y];
  is_shared = kHasShared && tile.x == p.n_experts;
  first_weight_row = is_shared ? 0 : tile.x * p.d_model;
  down = p.down;
  if (is_shared && kSharedForm == kForm) down = p.shared_down;
  if (is_shared)
    matrix_load_codebook(p.shared_down, kSharedForm, 0);
  else
    matrix_load_codebook(p.down, kForm, 0);
  mt_product(matrix_is_turned(kForm), p.intermediate);
  [[unroll]] for (uint i = 0; i < kTall; ++i)
    [[unroll]] for (uint j = 0; j < kWide; ++j) {
      mt_put(mt_sums[i * kWide + j]);
      write_fragment(mt_row() + i * kM, first_out() + mt_out(j));
    }
}
