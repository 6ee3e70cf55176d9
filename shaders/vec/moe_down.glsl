// y[r] = residual[r] + sum_s gates[r, s] * (down[experts[r, s]] @ act[r, s])
//      + gates[r, top_k] * (shared_down @ act[r, top_k])
//
// Bindings: act [R, slots, I]; experts [R, top_k]; gates [R, top_k + 1]; residual [R, D];
//           y [R, D]
// A subgroup computes OUTS elements of one row of y and adds the slots in order. Grid: x over D, y
// over rows. Requires whole subgroups. An invalid expert index counts as the last expert.
#include "lib/weight.glsl"
#include "params/mat_vec.h"
#include "params/moe_down.h"

layout(local_size_x_id = BX_MOE_DOWN_GROUP_SIZE) in;
layout(constant_id = BX_MOE_DOWN_FORM) const uint kForm = 0;
layout(constant_id = BX_MOE_DOWN_SHARED_FORM) const uint kSharedForm = BX_FORM_ABSENT;
layout(constant_id = BX_MOE_DOWN_OUTS) const uint kOuts = 2;
layout(constant_id = BX_MOE_DOWN_CODES) const uint kCodes = BX_CODES_AS_BYTES;

// Both blocks are the same binding: the shader reads its memory as floats or as vec4s.
layout(set = 0, binding = 0, scalar) readonly buffer Act { float act[]; };
layout(set = 0, binding = 0, scalar) readonly buffer Act4 { vec4 act4[]; };
layout(set = 0, binding = 1, scalar) readonly restrict buffer Experts { uint experts[]; };
layout(set = 0, binding = 2, scalar) readonly restrict buffer Gates { float gates[]; };
layout(set = 0, binding = 3, scalar) readonly restrict buffer Residual { float residual[]; };
layout(set = 0, binding = 4, scalar) writeonly restrict buffer Y { float y[]; };
layout(push_constant, scalar) uniform Push { MoeDownPush p; };

const uint kSharedBook = FORM_HAS_CODEBOOK(kForm);
#define CODEBOOKS (FORM_HAS_CODEBOOK(kForm) + FORM_HAS_CODEBOOK(kSharedForm))
const uint kOneRow = 1;
#define MV_CODES kCodes
#define MV_OUTS kOuts
#define MV_ROWS kOneRow
#define MV_X(at, c) act[(at) + (c)]
#define MV_X4(at, i) act4[((at) >> 2) + (i)]
#include "lib/mat_vec.glsl"

const bool kHasShared = kSharedForm != BX_FORM_ABSENT;

// Multiplies weight rows [first, first + OUTS) of a slot's expert by the activations of the slot.
// Afterwards mv_acc holds this lane's part of each sum.
void multiply(uint row, uint slot, uint n_slots, uint first) {
  const uint act_at = (row * n_slots + slot) * p.intermediate;
  const bool is_shared = kHasShared && slot == p.top_k;
  const uint chosen = experts[row * p.top_k + min(slot, p.top_k - 1)];
  const uint expert = is_shared ? 0 : min(chosen, p.n_experts - 1);
  const uint begin = expert * p.d_model;
  mat_vec_clear();
  if (is_shared && kSharedForm != kForm) {
    mat_vec_add(p.shared_down, kSharedForm, kSharedBook, p.intermediate, first, p.d_model, act_at,
                0);
  } else {
    WeightAddress w = p.down;
    if (is_shared) w = p.shared_down;
    mat_vec_add(w, kForm, is_shared ? kSharedBook : 0, p.intermediate, begin + first,
                begin + p.d_model, act_at, 0);
  }
}

void main() {
  load_codebook(p.down, kForm, 0);
  load_codebook(p.shared_down, kSharedForm, kSharedBook);
  codebook_barrier();
  const uint first = (gl_WorkGroupID.x * gl_NumSubgroups + gl_SubgroupID) * kOuts;
  if (!kWholeGroups && first >= p.d_model) return;
  const uint row = gl_WorkGroupID.y;
  const uint n_slots = p.top_k + (kHasShared ? 1 : 0);
  float total[kOuts];
  for (uint i = 0; i < kOuts; ++i) total[i] = 0.0;
  for (uint slot = 0; slot < n_slots; ++slot) {
    multiply(row, slot, n_slots, first);
    const float gate = gates[row * (p.top_k + 1) + slot];
    for (uint i = 0; i < kOuts; ++i) total[i] += gate * mv_acc[i];
  }
  // Sums over the lanes once, after all slots.
  for (uint i = 0; i < kOuts; ++i) mv_acc[i] = total[i];
  mat_vec_sum();
  for (uint j = 0; j < MV_SUMS_OF_LANE; ++j) {
    const uint i = mat_vec_sum_index(j);
    const uint at = row * p.d_model + first + i;
    if (i < kOuts && first + i < p.d_model) y[at] = residual[at] + mv_acc[j];
  }
}
