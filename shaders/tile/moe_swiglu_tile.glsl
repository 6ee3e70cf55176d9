// y[r, s, :] = silu(gate[e] @ x[r]) * (up[e] @ x[r]) for a tile of the pairs (r, s) of expert e
//
// Bindings: pairs, tiles as moe_group.comp writes them; x [R, D]; y [R, slots, I]
// A workgroup of n invocations computes n / 2 elements for each of up to ROWS pairs. Grid: x over
// I, y over tiles.
#include "lib/math.glsl"
#include "lib/weight.glsl"
#include "params/moe_swiglu_tile.h"

layout(local_size_x_id = BX_MOE_SWIGLU_TILE_GROUP_SIZE) in;
layout(constant_id = BX_MOE_SWIGLU_TILE_GATE_FORM) const uint kGateForm = 0;
layout(constant_id = BX_MOE_SWIGLU_TILE_UP_FORM) const uint kUpForm = 0;
layout(constant_id = BX_MOE_SWIGLU_TILE_SHARED_GATE_FORM) const uint kSharedGateForm =
    BX_FORM_ABSENT;
layout(constant_id = BX_MOE_SWIGLU_TILE_SHARED_UP_FORM) const uint kSharedUpForm = BX_FORM_ABSENT;
layout(constant_id = BX_MOE_SWIGLU_TILE_ROWS) const uint kRows = 64;
layout(constant_id = BX_MOE_SWIGLU_TILE_COLUMNS) const uint kColumns = BX_COLUMNS_ANY;

layout(set = 0, binding = 0, scalar) readonly restrict buffer PairList { uint pairs[]; };
layout(set = 0, binding = 1, scalar) readonly restrict buffer Tiles { uvec3 tiles[]; };
// Both blocks are the same binding: the shader reads its memory as floats or as vec4s.
layout(set = 0, binding = 2, scalar) readonly buffer X { float x[]; };
layout(set = 0, binding = 2, scalar) readonly buffer X4 { vec4 x4[]; };
layout(set = 0, binding = 3, scalar) writeonly restrict buffer Y { float y[]; };
layout(push_constant, scalar) uniform Push { MoeSwigluPush p; };

const bool kHasShared = kSharedGateForm != BX_FORM_ABSENT;

// Where row m of the tile begins in x. A row beyond the last pair of the tile is the last one again.
uint x_row(const uint m) {
  const uvec3 tile = tiles[gl_WorkGroupID.y];
  return pairs[tile.y + min(m, tile.z - 1)] / (p.top_k + (kHasShared ? 1 : 0)) * p.d_model;
}

#define MM_X_ROW(m) x_row(m)
#define MM_X4(i) x4[i]
#define MM_X(i) x[i]
#include "lib/mat_mul.glsl"

// The first half of the tile's weight rows are rows of gate, the second half are rows of up. An
// invocation has the gate sum of an element in output j of its block, and the up sum of the same
// element in output j + 4.
bool loads_up() { return gl_LocalInvocationID.x >= gl_WorkGroupSize.x / 2; }
uint n_outs() { return gl_WorkGroupSize.x / 2; }

void load_slice(const WeightAddress gate, const uint gate_form, const WeightAddress up,
                const uint up_form, const uint at, const uint n_inside) {
  if (gate_form == up_form) {
    WeightAddress either = gate;
    if (loads_up()) either = up;
    weight_slice_at(either, gate_form, loads_up() ? 1 : 0, at, n_inside);
  } else if (loads_up()) {
    weight_slice_at(up, up_form, 1, at, n_inside);
  } else {
    weight_slice_at(gate, gate_form, 0, at, n_inside);
  }
}

// Multiplies the rows of the tile by both weights. Element 0 of the tile comes from row first_row
// of both weights. A row at or beyond end_row is the last one again.
void multiply(const WeightAddress gate, const uint gate_form, const WeightAddress up,
              const uint up_form, const uint first_row, const uint end_row) {
  mm_begin();
  weight_slice_codebook(gate, gate_form, 0);
  weight_slice_codebook(up, up_form, 1);
  const uint row_at =
      min(first_row + gl_LocalInvocationID.x % n_outs(), end_row - 1) * p.d_model;
  for (uint c = 0; c < p.d_model; c += MM_DEPTH) {
    barrier();
    mm_load_x(p.d_model, c);
#define MM_LOAD(column, n_inside) \
  load_slice(gate, gate_form, up, up_form, row_at + (column), n_inside)
    MM_LOAD_W(c, p.d_model, MM_LOAD)
#undef MM_LOAD
    barrier();
    mm_multiply_slices();
  }
}

void main() {
  const uvec3 tile = tiles[gl_WorkGroupID.y];
  const uint first_out = gl_WorkGroupID.x * n_outs();
  if (kHasShared && tile.x == p.n_experts) {
    multiply(p.shared_gate, kSharedGateForm, p.shared_up, kSharedUpForm, first_out,
             p.intermediate);
  } else {
    const uint begin = tile.x * p.intermediate;
    multiply(p.gate, kGateForm, p.up, kUpForm, begin + first_out, begin + p.intermediate);
  }
  const bool outs_exist = first_out + n_outs() <= p.intermediate;  // uniform
  // Not `continue`: Intel's compiler does not unroll loops that have it, and then keeps mm_acc in
  // memory.
  [[unroll]] for (uint i = 0; i < kRows / 8; ++i) {
    const uint m = mm_row(i);
    if (m < tile.z) {
      const uint y_at = pairs[tile.y + m] * p.intermediate + first_out;
      [[unroll]] for (uint j = 0; j < 4; ++j)
        if (outs_exist || first_out + mm_out(j) < p.intermediate)
          y[y_at + mm_out(j)] = silu(mm_acc[i * 8 + j]) * mm_acc[i * 8 + j + 4];
    }
  }
}
