// The end of a router: gates and chosen experts from logits.
//   g = softmax(logits);  experts = the top_k largest of g;  gates = g[experts], followed by
//   sigmoid(the last logit), or by 0 without a shared expert
// With kRenormalizes, the gates of the chosen experts are divided by their sum.
//
// The experts with the largest float32 gates are chosen. The shader compares the bits of gates as
// integers. For non-negative floats this gives the same order, even if the device flushes subnormal
// numbers, and NaN has a place in the order. Two equal rows of the router give equal gates, because
// all logits are summed in the same order. Gates of almost equal logits tie as in float32 if exp is
// accurate to the last place.
//
// The including shader has experts[], gates[] (as bits), p.n_experts and p.top_k, and the constants
// kHasShared and kRenormalizes. All invocations of its workgroup call softmax() and then choose(), in
// uniform control flow.
#ifndef BX_ROUTE_GLSL
#define BX_ROUTE_GLSL

#include "lib/group_sum.glsl"
#include "lib/math.glsl"
#include "params/moe_experts.h"

shared float logits[BX_MOE_MAX_EXPERTS + 1];  // the last logit belongs to the shared expert
shared uint gate_bits[BX_MOE_MAX_EXPERTS];

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

#endif
