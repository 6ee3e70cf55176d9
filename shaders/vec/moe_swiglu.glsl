// y[r, s, :] = silu(gate[e] @ x[r]) * (up[e] @ x[r]),  e = experts[r, s]
// Slot top_k belongs to the shared expert.
//
// Bindings: x [R, D]; experts [R, top_k]; y [R, slots, I]
// A subgroup computes OUTS elements of one (row, slot). Grid: x over I, y over slots, z over rows.
// Requires whole subgroups. An invalid expert index counts as the last expert.
#include "lib/math.glsl"
#include "lib/weight.glsl"
#include "params/mat_vec.h"
#include "params/moe_swiglu.h"

layout(local_size_x_id = BX_MOE_SWIGLU_GROUP_SIZE) in;
layout(constant_id = BX_MOE_SWIGLU_GATE_FORM) const uint kGateForm = 0;
layout(constant_id = BX_MOE_SWIGLU_UP_FORM) const uint kUpForm = 0;
layout(constant_id = BX_MOE_SWIGLU_SHARED_GATE_FORM) const uint kSharedGateForm = BX_FORM_ABSENT;
layout(constant_id = BX_MOE_SWIGLU_SHARED_UP_FORM) const uint kSharedUpForm = BX_FORM_ABSENT;
layout(constant_id = BX_MOE_SWIGLU_OUTS) const uint kOuts = 4;
layout(constant_id = BX_MOE_SWIGLU_CODES) const uint kCodes = BX_CODES_AS_BYTES;

// Both blocks are the same binding: the shader reads its memory as floats or as vec4s.
layout(set = 0, binding = 0, scalar) readonly buffer X { float x[]; };
layout(set = 0, binding = 0, scalar) readonly buffer X4 { vec4 x4[]; };
layout(set = 0, binding = 1, scalar) readonly restrict buffer Experts { uint experts[]; };
layout(set = 0, binding = 2, scalar) writeonly restrict buffer Y { float y[]; };
layout(push_constant, scalar) uniform Push { MoeSwigluPush p; };

// The gate's codebook is number 0, the other one belongs to up. A workgroup multiplies either by
// the matrices of an expert or by those of the shared expert.
#define CODEBOOKS                                                             \
  (2 * (FORM_HAS_CODEBOOK(kGateForm) | FORM_HAS_CODEBOOK(kUpForm) |           \
        FORM_HAS_CODEBOOK(kSharedGateForm) | FORM_HAS_CODEBOOK(kSharedUpForm)))
const uint kOneRow = 1;
#define MV_CODES kCodes
#define MV_OUTS kOuts
#define MV_ROWS kOneRow
#define MV_X(at, c) x[(at) + (c)]
#define MV_X4(at, i) x4[((at) >> 2) + (i)]
#include "lib/mat_vec.glsl"

// Multiplies rows [first, first + OUTS) of one expert's matrix by the row of x at `x_at`.
void multiply(const WeightAddress w, const uint form, const WeightAddress shared_w,
              const uint shared_form, const uint book, const bool is_shared, const uint expert,
              const uint first, const uint x_at) {
  mat_vec_clear();
  if (is_shared && shared_form != form) {
    mat_vec_add(shared_w, shared_form, book, p.d_model, first, p.intermediate, x_at, 0);
  } else {
    WeightAddress either = w;
    if (is_shared) either = shared_w;
    const uint begin = expert * p.intermediate;
    mat_vec_add(either, form, book, p.d_model, begin + first, begin + p.intermediate, x_at, 0);
  }
  mat_vec_sum();
}

void main() {
  const uint slot = gl_WorkGroupID.y;
  const uint row = gl_WorkGroupID.z;
  const bool is_shared = kSharedGateForm != BX_FORM_ABSENT && slot == p.top_k;
  if (is_shared) {
    load_codebook(p.shared_gate, kSharedGateForm, 0);
    load_codebook(p.shared_up, kSharedUpForm, 1);
  } else {
    load_codebook(p.gate, kGateForm, 0);
    load_codebook(p.up, kUpForm, 1);
  }
  codebook_barrier();
  const uint first = (gl_WorkGroupID.x * gl_NumSubgroups + gl_SubgroupID) * kOuts;
  if (!kWholeGroups && first >= p.intermediate) return;
  const uint chosen = experts[row * p.top_k + min(slot, p.top_k - 1)];
  const uint expert = is_shared ? 0 : min(chosen, p.n_experts - 1);
  const uint x_at = row * p.d_model;
  multiply(p.gate, kGateForm, p.shared_gate, kSharedGateForm, 0, is_shared, expert, first, x_at);
  float gate[MV_SUMS_OF_LANE];
  for (uint j = 0; j < MV_SUMS_OF_LANE; ++j) gate[j] = mv_acc[j];
#ifdef BX_INTEGER_DOTS
  dot_keeps_x = true;
#endif
  multiply(p.up, kUpForm, p.shared_up, kSharedUpForm, 1, is_shared, expert, first, x_at);
  const uint y_at = (row * gl_NumWorkGroups.y + slot) * p.intermediate + first;
  for (uint j = 0; j < MV_SUMS_OF_LANE; ++j) {
    const uint i = mat_vec_sum_index(j);
    if (i < kOuts && first + i < p.intermediate) y[y_at + i] = silu(gate[j]) * mv_acc[j];
  }
}
