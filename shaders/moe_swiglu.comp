// y[r, s, :] = silu(gate[e] @ x[r]) * (up[e] @ x[r]),  e = experts[r, s]
// Slot top_k belongs to the shared expert.
//
// Bindings: x [R, D]; experts [R, top_k]; y [R, slots, I]
// A subgroup computes OUTS elements of one (row, slot). Grid: x over I, y over slots, z over rows.
// Requires whole subgroups. An invalid expert index counts as the last expert.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/math.glsl"
#include "lib/weight.glsl"
#include "params/moe_swiglu.h"

layout(local_size_x_id = BX_MOE_SWIGLU_GROUP_SIZE) in;
layout(constant_id = BX_MOE_SWIGLU_GATE_FORM) const uint kGateForm = 0;
layout(constant_id = BX_MOE_SWIGLU_UP_FORM) const uint kUpForm = 0;
layout(constant_id = BX_MOE_SWIGLU_SHARED_GATE_FORM) const uint kSharedGateForm = BX_FORM_ABSENT;
layout(constant_id = BX_MOE_SWIGLU_SHARED_UP_FORM) const uint kSharedUpForm = BX_FORM_ABSENT;
layout(constant_id = BX_MOE_SWIGLU_OUTS) const uint kOuts = 4;

// Both blocks are the same binding: the shader reads its memory as floats or as vec4s.
layout(set = 0, binding = 0, scalar) readonly buffer X { float x[]; };
layout(set = 0, binding = 0, scalar) readonly buffer X4 { vec4 x4[]; };
layout(set = 0, binding = 1, scalar) readonly restrict buffer Experts { uint experts[]; };
layout(set = 0, binding = 2, scalar) writeonly restrict buffer Y { float y[]; };
layout(push_constant, scalar) uniform Push { MoeSwigluPush p; };

const uint kOneRow = 1;
#define MV_OUTS kOuts
#define MV_ROWS kOneRow
#define MV_X(at, c) x[(at) + (c)]
#define MV_X4(at, i) x4[((at) >> 2) + (i)]
#include "lib/mat_vec.glsl"

// Multiplies rows [first, first + OUTS) of one expert's matrix by the row of x at `x_at`.
// Afterwards mv_acc holds the complete sums in every lane.
void multiply(const WeightAddress w, const uint form, const WeightAddress shared_w,
              const uint shared_form, const bool is_shared, const uint expert, const uint first,
              const uint x_at) {
  mat_vec_clear();
  if (is_shared && shared_form != form) {
    mat_vec_add(shared_w, shared_form, p.d_model, first, p.intermediate, x_at, 0);
  } else {
    WeightAddress either = w;
    if (is_shared) either = shared_w;
    const uint begin = expert * p.intermediate;
    mat_vec_add(either, form, p.d_model, begin + first, begin + p.intermediate, x_at, 0);
  }
  mat_vec_sum();
}

void main() {
  const uint first = (gl_WorkGroupID.x * gl_NumSubgroups + gl_SubgroupID) * kOuts;
  if (first >= p.intermediate) return;
  const uint slot = gl_WorkGroupID.y;
  const uint row = gl_WorkGroupID.z;
  const bool is_shared = kSharedGateForm != BX_FORM_ABSENT && slot == p.top_k;
  const uint chosen = experts[row * p.top_k + min(slot, p.top_k - 1)];
  const uint expert = is_shared ? 0 : min(chosen, p.n_experts - 1);
  const uint x_at = row * p.d_model;
  multiply(p.gate, kGateForm, p.shared_gate, kSharedGateForm, is_shared, expert, first, x_at);
  float gate[kOuts];
  for (uint i = 0; i < kOuts; ++i) gate[i] = mv_acc[i];
  multiply(p.up, kUpForm, p.shared_up, kSharedUpForm, is_shared, expert, first, x_at);
  const uint y_at = (row * gl_NumWorkGroups.y + slot) * p.intermediate + first;
  for (uint i = 0; i < kOuts; ++i)
    if (gl_SubgroupInvocationID == i % gl_SubgroupSize && first + i < p.intermediate)
      y[y_at + i] = silu(gate[i]) * mv_acc[i];
}
