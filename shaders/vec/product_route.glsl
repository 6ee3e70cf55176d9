// A product of a single row, and the router that reads it:
//   y[o] = sum_c w[o, c] * x[c] + bias[o] + residual[o]
//   n = norm * y / sqrt(mean(y^2) + eps), or y without a norm
//   g = softmax(gate @ n);  experts = the top_k largest of g;  gates = g[experts], followed by
//   sigmoid(shared_gate @ n), or by 0 without a shared expert
// Bias and residual are optional. How experts are chosen: lib/route.glsl.
//
// A workgroup computes the parts of the logits that belong to its outputs, and the part of the sum
// of squares. The last workgroup adds them up and chooses (lib/team_sums.glsl).
//
// Bindings: x [1, n_cols or more]; residual [1, D] (or x again); y [1, D]; normed [1, D];
//   experts [1, top_k]; gates [1, top_k + 1], as bits; sums [workgroups + teams, X + 2]; counters
// A subgroup computes OUTS outputs; a workgroup computes the outputs of its subgroups. Grid: x over
// outputs. Requires whole subgroups and X <= BX_MOE_MAX_EXPERTS.
#include "lib/weight.glsl"
#include "params/mat_vec.h"
#include "params/product_route.h"

layout(local_size_x_id = BX_PRODUCT_ROUTE_GROUP_SIZE) in;
layout(constant_id = BX_PRODUCT_ROUTE_FORM) const uint kForm = 0;
layout(constant_id = BX_PRODUCT_ROUTE_HAS_BIAS) const bool kHasBias = false;
layout(constant_id = BX_PRODUCT_ROUTE_HAS_RESIDUAL) const bool kHasResidual = true;
layout(constant_id = BX_PRODUCT_ROUTE_OUTS) const uint kOuts = 4;
layout(constant_id = BX_PRODUCT_ROUTE_CODES) const uint kCodes = BX_CODES_AS_BYTES;
layout(constant_id = BX_PRODUCT_ROUTE_HAS_NORM) const bool kHasNorm = true;
layout(constant_id = BX_PRODUCT_ROUTE_GATE_FORM) const uint kGateForm = 0;
layout(constant_id = BX_PRODUCT_ROUTE_SHARED_FORM) const uint kSharedForm = BX_FORM_ABSENT;
layout(constant_id = BX_PRODUCT_ROUTE_RENORMALIZES) const bool kRenormalizes = false;

// Both blocks are the same binding: the shader reads its memory as floats or as vec4s.
layout(set = 0, binding = 0, scalar) readonly buffer X { float x[]; };
layout(set = 0, binding = 0, scalar) readonly buffer X4 { vec4 x4[]; };
layout(set = 0, binding = 1, scalar) readonly buffer Residual { float residual[]; };
layout(set = 0, binding = 2, scalar) coherent buffer Y { float y[]; };
layout(set = 0, binding = 3, scalar) writeonly restrict buffer Normed { float normed[]; };
layout(set = 0, binding = 4, scalar) writeonly restrict buffer Experts { uint experts[]; };
layout(set = 0, binding = 5, scalar) writeonly restrict buffer Gates { uint gates[]; };
layout(set = 0, binding = 6, scalar) coherent buffer Sums { float sums[]; };
layout(set = 0, binding = 7, scalar) coherent buffer Counters { uint counters[]; };
layout(push_constant, scalar) uniform Push { ProductRoutePush p; };

const bool kHasShared = kSharedForm != BX_FORM_ABSENT;

#include "lib/route.glsl"
#include "lib/team_sums.glsl"

const uint kOneRow = 1;
#define CODEBOOKS FORM_HAS_CODEBOOK(kForm)
#define MV_CODES kCodes
#define MV_OUTS kOuts
#define MV_ROWS kOneRow
#define MV_X(at, c) x[c]
#define MV_X4(at, i) x4[i]
#include "lib/mat_vec.glsl"

// The outputs of the workgroup. A subgroup has at least 4 lanes.
shared float y_of_group[gl_WorkGroupSize.x / 4 * kOuts];
shared float factor_of_row;

float norm_at(const uint o) { return kHasNorm ? Floats(p.norm).at[o] : 1.0; }

// Computes outputs first, first + 1, ... `first_of_group` is the first one of the workgroup.
void compute(const uint first, const uint first_of_group) {
  mat_vec_clear();
  mat_vec_add(p.weight, kForm, 0, p.n_cols, first, p.d_model, 0, 0);
  mat_vec_sum();
  for (uint j = 0; j < MV_SUMS_OF_LANE; ++j) {
    const uint i = mat_vec_sum_index(j);
    const uint o = first + i;
    if (i >= kOuts || o >= p.d_model) continue;
    float value = mv_acc[j];
    if (kHasBias) value += Floats(p.bias).at[o];
    if (kHasResidual) value += residual[o];
    y[o] = value;
    y_of_group[o - first_of_group] = value;
  }
}

// The part of sum number `i` that belongs to outputs first .. first + n - 1. The sums are those of
// the experts, of the shared expert, and the one of squares.
float part_of(const uint i, const uint first, const uint n) {
  float sum = 0.0;
  for (uint e = 0; e < n; ++e) {
    const uint o = first + e;
    const float value = y_of_group[e];
    if (i > p.n_experts)
      sum += value * value;
    else if (i < p.n_experts)
      sum += weight_at(p.gate, kGateForm, i * p.d_model + o) * (norm_at(o) * value);
    else if (kHasShared)
      sum += weight_at(p.shared_gate, kSharedForm, o) * (norm_at(o) * value);
  }
  return sum;
}

void route(const uint first_sum, const uint n_sums) {
  const uint n_numbers = p.n_experts + 2;
  const uint me = gl_LocalInvocationIndex;
  if (me == 0) {
    const float squares = sum_of_arrays(first_sum, n_sums, n_numbers, p.n_experts + 1);
    factor_of_row = kHasNorm ? 1.0 / sqrt(squares / float(p.d_model) + p.eps) : 1.0;
  }
  barrier();
  for (uint i = me; i <= p.n_experts; i += gl_WorkGroupSize.x)
    logits[i] = factor_of_row * sum_of_arrays(first_sum, n_sums, n_numbers, i);
  for (uint o = me; o < p.d_model; o += gl_WorkGroupSize.x)
    normed[o] = norm_at(o) * (y[o] * factor_of_row);
  barrier();
  softmax();
  choose(0);
}

void main() {
  load_codebook(p.weight, kForm, 0);
  codebook_barrier();
  const uint n_of_group = gl_NumSubgroups * kOuts;
  const uint first_of_group = gl_WorkGroupID.x * n_of_group;
  if (first_of_group >= p.d_model) return;  // uniform in the workgroup
  const uint first = first_of_group + gl_SubgroupID * kOuts;
  if (kWholeGroups || first < p.d_model)
    compute(first, first_of_group);  // uniform in the subgroup
  barrier();
  const uint n = min(n_of_group, p.d_model - first_of_group);
  const uint n_numbers = p.n_experts + 2;
  for (uint i = gl_LocalInvocationIndex; i < n_numbers; i += gl_WorkGroupSize.x)
    sums[gl_WorkGroupID.x * n_numbers + i] = part_of(i, first_of_group, n);
  const uint n_groups = (p.d_model + n_of_group - 1) / n_of_group;
  uint first_sum, n_sums;
  if (have_team_sums(gl_WorkGroupID.x, n_groups, n_numbers, first_sum, n_sums))
    route(first_sum, n_sums);
}
