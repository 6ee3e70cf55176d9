// y[r, s, :] = silu(gate[e] @ x[r]) * (up[e] @ x[r]) for a tile of the pairs (r, s) of expert e
// The products are computed on matrix units: both factors are rounded to float16, sums are float32.
//
// Bindings: pairs, tiles as moe_group.comp writes them; x [R, D]; y [R, slots, I]
// A workgroup computes OUTS / 2 elements for each of up to ROWS pairs. Grid: x over I, y over tiles.
// Requires workgroups of exactly SUBGROUPS full subgroups.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/math.glsl"
#include "lib/weight.glsl"
#include "params/moe_swiglu_matrix.h"

layout(constant_id = BX_MOE_SWIGLU_MATRIX_GATE_FORM) const uint kGateForm = 0;
layout(constant_id = BX_MOE_SWIGLU_MATRIX_UP_FORM) const uint kUpForm = 0;
layout(constant_id = BX_MOE_SWIGLU_MATRIX_SHARED_GATE_FORM) const uint kSharedGateForm =
    BX_FORM_ABSENT;
layout(constant_id = BX_MOE_SWIGLU_MATRIX_SHARED_UP_FORM) const uint kSharedUpForm = BX_FORM_ABSENT;

layout(set = 0, binding = 0, scalar) readonly restrict buffer PairList { uint pairs[]; };
layout(set = 0, binding = 1, scalar) readonly restrict buffer Tiles { uvec3 tiles[]; };
// Both blocks are the same binding: the shader reads its memory as floats or as vec4s.
layout(set = 0, binding = 2, scalar) readonly buffer X { float x[]; };
layout(set = 0, binding = 2, scalar) readonly buffer X4 { vec4 x4[]; };
layout(set = 0, binding = 3, scalar) writeonly restrict buffer Y { float y[]; };
layout(push_constant, scalar) uniform Push { MoeSwigluPush p; };

const bool kHasShared = kSharedGateForm != BX_FORM_ABSENT;
const bool kSameForms = kSharedGateForm == kGateForm && kSharedUpForm == kUpForm;
uvec3 tile;             // expert, first pair, number of pairs
bool is_shared;         // the expert of the tile is the shared one
WeightAddress gate, up;  // of the tile, unless the shared expert has other forms
uint first_weight_row;  // of output 0

// If the tile has fewer than kRows pairs, the missing rows repeat its last row.
uint x_from(const uint m) {
  const uint n_slots = p.top_k + (kHasShared ? 1 : 0);
  return pairs[tile.y + min(m, tile.z - 1)] / n_slots * p.d_model;
}
uint w_from(const uint o);
void decode(const bool is_up, const bool turned, const uint at, const uint inside);

#define MT_PAIRED true
#define MT_X4(i) x4[i]
#define MT_X(i) x[i]
#define MT_X_FROM(m) x_from(m)
#define MT_W_FROM(o) w_from(o)
#define MT_DECODE(is_second, turned, at, inside) decode(is_second, turned, at, inside)
#define MATRIX_CODEBOOKS \
  (2 * (FORM_HAS_CODEBOOK(kGateForm) | FORM_HAS_CODEBOOK(kUpForm) | \
        FORM_HAS_CODEBOOK(kSharedGateForm) | FORM_HAS_CODEBOOK(kSharedUpForm)))
#include "lib/matrix_tile.glsl"

uint first_out() { return gl_WorkGroupID.x * (kOuts / 2); }
uint w_from(const uint o) {
  const uint out_at = min(first_out() + o % (kOuts / 2), p.intermediate - 1);
  return (first_weight_row + out_at) * p.d_model;
}

// Decodes with one of two weights. The second one has codebook 1.
void decode_either(const WeightAddress w, const uint form, const WeightAddress w2, const uint form2,
                   const bool is_second, const bool turned, const uint at, const uint inside) {
  if (form == form2) {
    WeightAddress either = w;
    if (is_second) either = w2;
    matrix_weight(either, form, is_second ? 1 : 0, turned, at, inside);
  } else if (is_second) {
    matrix_weight(w2, form2, 1, turned, at, inside);
  } else {
    matrix_weight(w, form, 0, turned, at, inside);
  }
}
void decode(const bool is_up, const bool turned, const uint at, const uint inside) {
  if (kHasShared && !kSameForms && is_shared)
    decode_either(p.shared_gate, kSharedGateForm, p.shared_up, kSharedUpForm, is_up, turned, at,
                  inside);
  else
    decode_either(gate, kGateForm, up, kUpForm, is_up, turned, at, inside);
}

// Writes the fragment whose first element is row m of the tile, output `o`.
void write_fragment(const uint m, const uint o) {
  [[unroll]] for (uint i = 0; i < kEach; ++i) {
    const uint row = m + mt_element_row(i);
    const uint out_at = o + mt_element_column(i);
    if (row < tile.z && out_at < p.intermediate)
      y[pairs[tile.y + row] * p.intermediate + out_at] = mt_element(i);
  }
}

void main() {
  tile = tiles[gl_WorkGroupID.y];
  is_shared = kHasShared && tile.x == p.n_experts;
  first_weight_row = is_shared ? 0 : tile.x * p.intermediate;
  gate = p.gate;
  up = p.up;
  if (is_shared && kSameForms) {
    gate = p.shared_gate;
    up = p.shared_up;
  }
  if (is_shared) {
    matrix_load_codebook(p.shared_gate, kSharedGateForm, 0);
    matrix_load_codebook(p.shared_up, kSharedUpForm, 1);
  } else {
    matrix_load_codebook(p.gate, kGateForm, 0);
    matrix_load_codebook(p.up, kUpForm, 1);
  }
  mt_product(matrix_is_turned(kGateForm), p.d_model);
  // Both fragments have the same element at the same place of the same lane.
  [[unroll]] for (uint i = 0; i < kTall; ++i)
    [[unroll]] for (uint j = 0; j < kWide / 2; ++j) {
      MT_SUM result = mt_sums[i * kWide + j];
      const MT_SUM ups = mt_sums[i * kWide + j + kWide / 2];
      [[unroll]] for (uint k = 0; k < result.length(); ++k) result[k] = silu(result[k]) * ups[k];
      mt_put(result);
      write_fragment(mt_row() + i * kM, first_out() + mt_out(j));
    }
}
