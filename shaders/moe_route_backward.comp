// The gradient of the router of one row. The logits gate @ normed are computed again.
//   over all experts, or with RENORMALIZES over the chosen ones: g = softmax(logits)
//   d_logit = g * (d - dot(d, g)), d = g_gates for the chosen experts and 0 for the others
//   d_tau = g_gates[top_k] * tau * (1 - tau)
//   g_n = g_normed + gate^T d_logit + d_tau * shared_gate
//   g_x = rho * norm * g_n - x * rho^3 * mean(norm * g_n * x),  rho = 1 / sqrt(mean(x^2) + eps)
//
// Bindings: x, normed [R, D]; experts [R, top_k]; gates [R, top_k + 1]; g_normed [R, D]; g_gates
//   [R, top_k + 1]; g_x [R, D]. An absent gradient is any buffer.
// A workgroup computes one row. Grid: x over rows. Requires whole subgroups and
// X <= BX_MOE_MAX_EXPERTS.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/group_sum.glsl"
#include "lib/math.glsl"
#include "lib/weight.glsl"
#include "params/moe_experts.h"
#include "params/moe_route_backward.h"

layout(local_size_x_id = BX_MOE_ROUTE_BACKWARD_GROUP_SIZE) in;
layout(constant_id = BX_MOE_ROUTE_BACKWARD_FORM) const uint kForm = 0;
layout(constant_id = BX_MOE_ROUTE_BACKWARD_NORM_FORM) const uint kNormForm = BX_FORM_ABSENT;
layout(constant_id = BX_MOE_ROUTE_BACKWARD_SHARED_FORM) const uint kSharedForm = BX_FORM_ABSENT;
layout(constant_id = BX_MOE_ROUTE_BACKWARD_RENORMALIZES) const bool kRenormalizes = false;
layout(constant_id = BX_MOE_ROUTE_BACKWARD_OF_NORMED) const bool kOfNormed = true;
layout(constant_id = BX_MOE_ROUTE_BACKWARD_OF_GATES) const bool kOfGates = true;

layout(set = 0, binding = 0, scalar) readonly buffer X { float x[]; };
layout(set = 0, binding = 1, scalar) readonly buffer Normed { float normed[]; };
layout(set = 0, binding = 2, scalar) readonly buffer Experts { uint experts[]; };
layout(set = 0, binding = 3, scalar) readonly buffer Gates { float gates[]; };
layout(set = 0, binding = 4, scalar) readonly buffer GNormed { float g_normed[]; };
layout(set = 0, binding = 5, scalar) readonly buffer GGates { float g_gates[]; };
layout(set = 0, binding = 6, scalar) buffer GX { float g_x[]; };
layout(push_constant, scalar) uniform Push { MoeRouteBackwardPush p; };

shared float logits[BX_MOE_MAX_EXPERTS];  // logits, then their gradients

void find_logits(const uint row) {
  for (uint e = gl_SubgroupID; e < p.n_experts; e += gl_NumSubgroups) {
    float sum = 0.0;
    for (uint c = gl_SubgroupInvocationID; c < p.d_model; c += gl_SubgroupSize)
      sum += weight_at(p.gate, kForm, e * p.d_model + c) * normed[row * p.d_model + c];
    sum = subgroupAdd(sum);
    if (subgroupElect()) logits[e] = sum;
  }
  barrier();
}

// The slot of an expert in the row; top_k if the expert is not chosen.
uint slot_of(const uint row, const uint e) {
  uint slot = 0;
  while (slot < p.top_k && experts[row * p.top_k + slot] != e) ++slot;
  return slot;
}

bool takes_part(const uint row, const uint e) { return !kRenormalizes || slot_of(row, e) < p.top_k; }

// Turns the logits into their gradients.
void differentiate(const uint row) {
  float largest = -3.40282347e38;
  for (uint e = 0; e < p.n_experts; ++e)
    if (takes_part(row, e) && logits[e] > largest) largest = logits[e];
  float total = 0.0;
  float along = 0.0;
  for (uint e = gl_LocalInvocationID.x; e < p.n_experts; e += gl_WorkGroupSize.x) {
    const float g = takes_part(row, e) ? exp_of(logits[e] - largest) : 0.0;
    const uint slot = slot_of(row, e);
    total += g;
    if (slot < p.top_k) along += g_gates[row * (p.top_k + 1) + slot] * g;
  }
  total = group_sum(total);
  along = group_sum(along) / total;
  for (uint e = gl_LocalInvocationID.x; e < p.n_experts; e += gl_WorkGroupSize.x) {
    const float g = takes_part(row, e) ? exp_of(logits[e] - largest) / total : 0.0;
    const uint slot = slot_of(row, e);
    const float d = slot < p.top_k ? g_gates[row * (p.top_k + 1) + slot] : 0.0;
    logits[e] = g * (d - along);
  }
  barrier();
}

// The gradient of column c of normed.
float through_gates(const uint row, const uint c) {
  float sum = 0.0;
  if (kOfGates) {
    for (uint e = 0; e < p.n_experts; ++e)
      sum += logits[e] * weight_at(p.gate, kForm, e * p.d_model + c);
    if (kSharedForm != BX_FORM_ABSENT) {
      const uint at = row * (p.top_k + 1) + p.top_k;
      sum += g_gates[at] * gates[at] * (1.0 - gates[at]) * weight_at(p.shared_gate, kSharedForm, c);
    }
  }
  return kOfNormed ? g_normed[row * p.d_model + c] + sum : sum;
}

void main() {
  const uint row = gl_WorkGroupID.x;
  const uint first = row * p.d_model;
  if (kOfGates) {
    find_logits(row);
    differentiate(row);
  }
  float squares = 0.0;
  float along = 0.0;
  for (uint c = gl_LocalInvocationID.x; c < p.d_model; c += gl_WorkGroupSize.x) {
    float g = through_gates(row, c);
    if (kNormForm != BX_FORM_ABSENT) {
      g *= Floats(p.norm.data).at[c];
      squares += x[first + c] * x[first + c];
      along += g * x[first + c];
    }
    g_x[first + c] = g;
  }
  if (kNormForm == BX_FORM_ABSENT) return;
  const float count = float(p.d_model);
  const float rho = 1.0 / sqrt(group_sum(squares) / count + p.eps);
  const float part = group_sum(along) / count * rho * rho * rho;
  // An invocation reads only elements that it has written itself.
  for (uint c = gl_LocalInvocationID.x; c < p.d_model; c += gl_WorkGroupSize.x)
    g_x[first + c] = rho * g_x[first + c] - x[first + c] * part;
}
