// y[r, s, :] = silu(gate[e] @ x[r]) * (up[e] @ x[r]) for a tile of the pairs (r, s) of expert e
//
// Bindings: pairs, tiles as moe_group.comp writes them; x [R, D]; y [R, slots, I]
// A work group of BX_TILE_GROUP computes BX_MOE_SWIGLU_TILE_OUTS elements for up to 8 * ROWS pairs.
// Grid: x over I, y over tiles.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/weight.glsl"
#include "params/moe_swiglu_tile.h"

layout(local_size_x_id = BX_MOE_SWIGLU_TILE_GROUP_SIZE) in;
layout(constant_id = BX_MOE_SWIGLU_TILE_GATE_FORM) const uint kGateForm = 0;
layout(constant_id = BX_MOE_SWIGLU_TILE_UP_FORM) const uint kUpForm = 0;
layout(constant_id = BX_MOE_SWIGLU_TILE_SHARED_GATE_FORM) const uint kSharedGateForm =
    BX_FORM_ABSENT;
layout(constant_id = BX_MOE_SWIGLU_TILE_SHARED_UP_FORM) const uint kSharedUpForm = BX_FORM_ABSENT;
layout(constant_id = BX_MOE_SWIGLU_TILE_ROWS) const uint kRows = 8;

layout(set = 0, binding = 0, scalar) readonly restrict buffer PairList { uint pairs[]; };
layout(set = 0, binding = 1, scalar) readonly restrict buffer Tiles { uvec3 tiles[]; };
// The same range twice: as numbers, and four at a time.
layout(set = 0, binding = 2, scalar) readonly buffer X { float x[]; };
layout(set = 0, binding = 2, scalar) readonly buffer X4 { vec4 x4[]; };
layout(set = 0, binding = 3, scalar) writeonly restrict buffer Y { float y[]; };
layout(push_constant, scalar) uniform Push { MoeSwigluShaderParams p; };

#define TILE_ROWS kRows
#define TILE_X(i) x[i]
#define TILE_X4(i) x4[(i) >> 2]
#include "lib/silu.glsl"
#include "lib/tile.glsl"

const bool kHasShared = kSharedGateForm != BX_FORM_ABSENT;
const bool kSameForms = kSharedGateForm == kGateForm && kSharedUpForm == kUpForm;
const uint kOuts = BX_MOE_SWIGLU_TILE_OUTS;

// The first half of the invocations load rows of the gate, the second half rows of up.
bool loads_up() { return gl_LocalInvocationID.x >= kOuts; }

void load_codebooks(const WeightRef gate, const uint gate_form, const WeightRef up,
                    const uint up_form) {
  tile_load_codebook(gate, gate_form, 0);
  tile_load_codebook(up, up_form, 1);
}

void load_weights(const WeightRef gate, const uint gate_form, const WeightRef up,
                  const uint up_form, const uint row, const uint k) {
  if (gate_form == up_form) {
    WeightRef either = gate;
    if (loads_up()) either = up;
    tile_load_weights(either, gate_form, loads_up() ? 1 : 0, row, p.d_model, k);
  } else if (loads_up()) {
    tile_load_weights(up, up_form, 1, row, p.d_model, k);
  } else {
    tile_load_weights(gate, gate_form, 0, row, p.d_model, k);
  }
}

void main() {
  const uvec3 tile = tiles[gl_WorkGroupID.y];
  const uint first_out = gl_WorkGroupID.x * kOuts;
  const uint n_slots = p.top_k + (kHasShared ? 1 : 0);
  const bool is_shared = kHasShared && tile.x == p.n_experts;
  const uint out_row = min(first_out + gl_LocalInvocationID.x % kOuts, p.intermediate - 1);
  const uint weight_row = (is_shared ? 0 : tile.x * p.intermediate) + out_row;
  WeightRef gate = p.gate;
  WeightRef up = p.up;
  if (is_shared) {
    gate = p.shared_gate;
    up = p.shared_up;
  }

  for (uint m = gl_LocalInvocationID.x; m < kTileRows; m += BX_TILE_GROUP)
    tile_x_at[m] = pairs[tile.y + min(m, tile.z - 1)] / n_slots * p.d_model;
  if (is_shared && !kSameForms)
    load_codebooks(gate, kSharedGateForm, up, kSharedUpForm);
  else
    load_codebooks(gate, kGateForm, up, kUpForm);
  tile_clear();
  for (uint k = 0; k < p.d_model; k += kTileDepth) {
    barrier();
    tile_load_rows(p.d_model, k);
    if (is_shared && !kSameForms)
      load_weights(gate, kSharedGateForm, up, kSharedUpForm, weight_row, k);
    else
      load_weights(gate, kGateForm, up, kUpForm, weight_row, k);
    barrier();
    tile_add();
  }

  [[unroll]] for (uint i = 0; i < kRows; ++i) {
    const uint m = tile_row(i);
    if (m >= tile.z) continue;
    const uint y_at = pairs[tile.y + m] * p.intermediate + first_out;
    [[unroll]] for (uint j = 0; j < kTilePerLane / 2; ++j)
      if (first_out + tile_out(j) < p.intermediate)
        y[y_at + tile_out(j)] = silu(tile_acc[i * kTilePerLane + j]) *
                                tile_acc[i * kTilePerLane + j + kTilePerLane / 2];
  }
}
