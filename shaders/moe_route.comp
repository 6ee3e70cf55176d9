// n = norm * x / sqrt(mean(x^2) + eps), or x without a norm
// g = softmax(gate @ n);  experts = the top_k largest of g;  gates = g[experts], followed by
// sigmoid(shared_gate @ n), or by 0 without a shared expert
// With RENORMALIZES, the gates of the chosen experts are divided by their sum.
//
// Bindings: x [R, D]; normed [R, D]; experts [R, top_k]; gates [R, top_k + 1], as bits
// A workgroup computes one row. Each of its subgroups computes one logit at a time. Grid: x over
// rows. Requires whole subgroups and X <= BX_MOE_MAX_EXPERTS.
// How experts are chosen: lib/route.glsl.
#version 450
#extension GL_GOOGLE_include_directive : require
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

#include "lib/route.glsl"

shared float scale_of_row;

const uint kSharedBook = FORM_HAS_CODEBOOK(kForm);
#define CODEBOOKS (FORM_HAS_CODEBOOK(kForm) + FORM_HAS_CODEBOOK(kSharedForm))
const uint kOne = 1;
#define MV_CODES kCodes
#define MV_OUTS kOne
#define MV_ROWS kOne
#define NORM_ROWS kOne
#include "lib/norm_x.glsl"
#define MV_X(at, c) norm_x(0, c, x[(at) + (c)])
#define MV_X4(at, i) norm_x4(0, i, x4[((at) >> 2) + (i)])
#include "lib/mat_vec.glsl"

// Each subgroup sums the squares of the row while it computes its first logit.
void compute_logits(uint row_at) {
  load_codebook(p.gate, kForm, 0);
  load_codebook(p.shared_gate, kSharedForm, kSharedBook);
  codebook_barrier();
  const uint n_products = p.n_experts + (kHasShared ? 1 : 0);
  float factor = 1.0;
  clear_norm();
  for (uint e = gl_SubgroupID; e < n_products; e += gl_NumSubgroups) {
    mat_vec_clear();
    if (e < p.n_experts)
      mat_vec_add(p.gate, kForm, 0, p.d_model, e, p.n_experts, row_at, 0);
    else
      mat_vec_add(p.shared_gate, kSharedForm, kSharedBook, p.d_model, 0, 1, row_at, 0);
    if (norm_sums_squares) {
      norm_sum();
      factor = norm_factor(0, p.d_model, p.eps);
    }
    norm_sums_squares = false;
    mat_vec_scale(0, factor);
    mat_vec_sum();
    if (subgroupElect()) logits[e] = mv_acc[0];
  }
  if (gl_LocalInvocationIndex == 0) scale_of_row = factor;
  barrier();
}

void write_normed(uint row_at) {
  for (uint c = gl_LocalInvocationIndex; c < p.d_model; c += gl_WorkGroupSize.x) {
    const float norm = kHasNorm ? Floats(p.norm.data).at[c] : 1.0;
    normed[row_at + c] = norm * (x[row_at + c] * scale_of_row);
  }
}

void main() {
  const uint row = gl_WorkGroupID.x;
  compute_logits(row * p.d_model);
  write_normed(row * p.d_model);
  softmax();
  choose(row);
}
