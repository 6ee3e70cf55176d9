// n = norm * x / sqrt(mean(x^2) + eps), or x without a norm
// g = softmax(gate @ n);  experts = the top_k largest of g;  gates = g[experts], followed by
// sigmoid(shared_gate @ n), or by 0 without a shared expert
// With RENORMALIZES, the gates of the chosen experts are divided by their sum.
//
// Bindings: x [R, D]; normed [R, D]; experts [R, top_k]; gates [R, top_k + 1], as bits
// A workgroup computes one row. Each of its subgroups computes one logit at a time. Grid: x over
// rows. Requires whole subgroups and X <= BX_MOE_MAX_EXPERTS.
//
// The experts with the largest float32 gates are chosen. The shader compares the bits of gates as
// integers. For non-negative floats this gives the same order, even if the device flushes subnormal
// numbers, and NaN has a place in the order. Two equal rows of the router give equal gates, because
// all logits are summed in the same order. Gates of almost equal logits tie as in float32 if exp is
// accurate to the last place.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/group_sum.glsl"
#include "lib/math.glsl"
#include "lib/weight.glsl"
#include "params/mat_vec.h"
#include "params/moe_route.h"

layout(local_size_x_id = BX_MOE_ROUTE_GROUP_SIZE) in;
layout(constant_id = BX_MOE_ROUTE_FORM) const uint kForm = 0;
layout(constant_id = BX_MOE_ROUTE_NORM_FORM) const uint kNormForm = BX_FORM_ABSENT;
layout(constant_id = BX_MOE_ROUTE_SHARED_FORM) const uint kSharedForm = BX_FORM_ABSENT;
layout(constant_id = BX_MOE_ROUTE_RENORMALIZES) const bool kRenormalizes = false;
layout(constant_id = BX_MOE_ROUTE_CODES) const uint kCodes = BX_CODES_AS_BYTES;

// Both blocks are the same binding: the shader reads its memory as floats or as vec4s.
layout(set = 0, binding = 0, scalar) readonly buffer X { float x[]; };
layout(set = 0, binding = 0, scalar) readonly buffer X4 { vec4 x4[]; };
layout(set = 0, binding = 1, scalar) writeonly restrict buffer Normed { float normed[]; };
layout(set = 0, binding = 2, scalar) writeonly restrict buffer Experts { uint experts[]; };
layout(set = 0, binding = 3, scalar) writeonly restrict buffer Gates { uint gates[]; };
layout(push_constant, scalar) uniform Push { MoeRoutePush p; };

const bool kHasNorm = kNormForm != BX_FORM_ABSENT;
const bool kHasShared = kSharedForm != BX_FORM_ABSENT;

shared float logits[BX_MOE_MAX_EXPERTS + 1];  // the last logit belongs to the shared expert
shared uint gate_bits[BX_MOE_MAX_EXPERTS];

float scale = 1.0;
float norm_at(uint c) { return kHasNorm ? Floats(p.norm.data).at[c] : 1.0; }
vec4 norm4_at(uint i) { return kHasNorm ? FloatQuads(p.norm.data).at[i] : vec4(1.0); }

const uint kSharedBook = FORM_HAS_CODEBOOK(kForm);
#define CODEBOOKS (FORM_HAS_CODEBOOK(kForm) + FORM_HAS_CODEBOOK(kSharedForm))
const uint kOne = 1;
#define MV_CODES kCodes
#define MV_OUTS kOne
#define MV_ROWS kOne
#define MV_X(at, c) (norm_at(c) * (x[(at) + (c)] * scale))
#define MV_X4(at, i) (norm4_at(i) * (x4[((at) >> 2) + (i)] * scale))
#include "lib/mat_vec.glsl"

void apply_norm(uint row_at) {
  if (kHasNorm) {
    float squares = 0.0;
    for (uint c = gl_LocalInvocationID.x; c < p.d_model; c += gl_WorkGroupSize.x)
      squares += x[row_at + c] * x[row_at + c];
    scale = 1.0 / sqrt(group_sum(squares) / float(p.d_model) + p.eps);
  }
  for (uint c = gl_LocalInvocationID.x; c < p.d_model; c += gl_WorkGroupSize.x)
    normed[row_at + c] = MV_X(row_at, c);
}

void compute_logits(uint row_at) {
  load_codebook(p.gate, kForm, 0);
  load_codebook(p.shared_gate, kSharedForm, kSharedBook);
  codebook_barrier();
  const uint n_products = p.n_experts + (kHasShared ? 1 : 0);
  for (uint e = gl_SubgroupID; e < n_products; e += gl_NumSubgroups) {
    mat_vec_clear();
    if (e < p.n_experts)
      mat_vec_add(p.gate, kForm, 0, p.d_model, e, p.n_experts, row_at, 0);
    else
      mat_vec_add(p.shared_gate, kSharedForm, kSharedBook, p.d_model, 0, 1, row_at, 0);
    mat_vec_sum();
    if (subgroupElect()) logits[e] = mv_acc[0];
  }
  barrier();
}

// The bits of the float exp(-below) / total. For a subnormal result, the function computes the
// result in units of 2^-149 and rounds it to an integer. The bits are that integer.
uint gate_of(float below, float total) {
  const float kLogSmallest = 87.0;             // exp(-87.34) is the smallest normal float
  const float kLogUnit = 103.278929903431851;  // exp(-kLogUnit) = 2^-149, one bit of a subnormal
  if (isnan(total)) return 0x7fc00000u;
  if (below + log(total) <= kLogSmallest) return floatBitsToUint(exp_of(-below) / total);
  return uint(roundEven(exp_of(kLogUnit - below) / total));
}

void softmax() {
  float largest = logits[0];
  for (uint e = 1; e < p.n_experts; ++e) largest = max(largest, logits[e]);
  float sum = 0.0;
  for (uint e = gl_LocalInvocationID.x; e < p.n_experts; e += gl_WorkGroupSize.x)
    sum += exp_of(logits[e] - largest);
  const float total = group_sum(sum);
  for (uint e = gl_LocalInvocationID.x; e < p.n_experts; e += gl_WorkGroupSize.x)
    gate_bits[e] = gate_of(largest - logits[e], total);
  barrier();
}

// Divides the chosen gates by their sum. `part` is the sum of the gates that this invocation has
// chosen, and logits[k] is the gate of the k-th chosen expert.
void renormalize(uint row, float part) {
  const float total = group_sum(part);
  for (uint k = gl_LocalInvocationID.x; k < p.top_k; k += gl_WorkGroupSize.x)
    gates[row * (p.top_k + 1) + k] = floatBitsToUint(logits[k] / total);
}

void choose(uint row) {
  float part = 0.0;
  for (uint e = gl_LocalInvocationID.x; e < p.n_experts; e += gl_WorkGroupSize.x) {
    uint rank = 0;
    for (uint i = 0; i < p.n_experts; ++i)
      if (gate_bits[i] > gate_bits[e] || gate_bits[i] == gate_bits[e] && i < e) ++rank;
    if (rank >= p.top_k) continue;
    experts[row * p.top_k + rank] = e;
    if (kRenormalizes) {
      // The logits of the experts are no longer needed.
      logits[rank] = uintBitsToFloat(gate_bits[e]);
      part += logits[rank];
    } else {
      gates[row * (p.top_k + 1) + rank] = gate_bits[e];
    }
  }
  if (kRenormalizes) renormalize(row, part);
  if (gl_LocalInvocationID.x == 0) {
    const float gate = kHasShared ? 1.0 / (1.0 + exp(-logits[p.n_experts])) : 0.0;
    gates[row * (p.top_k + 1) + p.top_k] = floatBitsToUint(gate);
  }
}

void main() {
  const uint row = gl_WorkGroupID.x;
  apply_norm(row * p.d_model);
  compute_logits(row * p.d_model);
  softmax();
  choose(row);
}
