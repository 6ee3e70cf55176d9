// For the single row of a step, at position p:
//   q = q_proj @ n(x)
//   keys[p] = k_proj @ n(x);  values[p] = v_proj @ n(x)
//   n(v)[c] = norm[c] * v[c] / sqrt(mean(v^2) + eps), or v[c] without a norm
//
// Bindings: step; x [1, D] as floats and as vec4s; q [1, q_width]; keys, values in pages, as words,
//   or [1, kv_width] floats that a later launch appends to the pages
// A subgroup computes OUTS outputs of one of the three matrices; a workgroup computes the outputs
// of its subgroups. Grid: x over outputs; the outputs of each matrix are rounded up to a multiple
// of OUTS. For float16 pages, OUTS and kv_width are even, so that one subgroup computes both halves
// of a word. Requires whole subgroups.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/group_sum.glsl"
#include "lib/half.glsl"
#include "lib/step.glsl"
#include "lib/weight.glsl"
#include "params/attn_in_vec.h"

layout(local_size_x_id = BX_ATTN_IN_VEC_GROUP_SIZE) in;
layout(constant_id = BX_ATTN_IN_VEC_NORM_FORM) const uint kNormForm = BX_FORM_ABSENT;
layout(constant_id = BX_ATTN_IN_VEC_Q_FORM) const uint kQForm = 0;
layout(constant_id = BX_ATTN_IN_VEC_K_FORM) const uint kKForm = 0;
layout(constant_id = BX_ATTN_IN_VEC_V_FORM) const uint kVForm = 0;
layout(constant_id = BX_ATTN_IN_VEC_HALF) const bool kHalf = true;
layout(constant_id = BX_ATTN_IN_VEC_OUTS) const uint kOuts = 4;
layout(constant_id = BX_ATTN_IN_VEC_PAGED) const bool kPaged = true;

layout(set = 0, binding = 1, scalar) readonly buffer X { float x[]; };
layout(set = 0, binding = 2, scalar) readonly buffer X4 { vec4 x4[]; };
layout(set = 0, binding = 3, scalar) writeonly buffer Q { float q[]; };
layout(set = 0, binding = 4, scalar) writeonly buffer Keys { uint keys[]; };
layout(set = 0, binding = 5, scalar) writeonly buffer Values { uint values[]; };
layout(push_constant, scalar) uniform Push { AttnInVecPush p; };

const bool kHasNorm = kNormForm != BX_FORM_ABSENT;
const bool kOneForm = kQForm == kKForm && kKForm == kVForm;

#define MV_OUTS kOuts
#define MV_ROWS 1
float norm_at(uint c) { return kHasNorm ? Floats(p.norm.data).at[c] : 1.0; }
vec4 norm4_at(uint i) { return kHasNorm ? FloatQuads(p.norm.data).at[i] : vec4(1.0); }
#define MV_X(at, c) (x[c] * norm_at(c))
#define MV_X4(at, i) (x4[i] * norm4_at(i))
#include "lib/mat_vec.glsl"

float norm_scale() {
  if (!kHasNorm) return 1.0;
  float sum = 0.0;
  for (uint c = gl_LocalInvocationID.x; c < p.d_model; c += gl_WorkGroupSize.x) sum += x[c] * x[c];
  return 1.0 / sqrt(group_sum(sum) / float(p.d_model) + p.eps);
}

uint width_of(const uint matrix) { return matrix == 0 ? p.q_width : p.kv_width; }

void multiply(const uint matrix, const uint first_out) {
  mat_vec_clear();
  if (kOneForm) {
    WeightAddress w = p.q;
    if (matrix == 1) w = p.k;
    if (matrix == 2) w = p.v;
    mat_vec_add(w, kQForm, p.d_model, first_out, width_of(matrix), 0, 0);
  } else if (matrix == 0) {
    mat_vec_add(p.q, kQForm, p.d_model, first_out, p.q_width, 0, 0);
  } else if (matrix == 1) {
    mat_vec_add(p.k, kKForm, p.d_model, first_out, p.kv_width, 0, 0);
  } else {
    mat_vec_add(p.v, kVForm, p.d_model, first_out, p.kv_width, 0, 0);
  }
  mat_vec_sum();
}

float sum_at(const uint i) {
  float value = 0.0;
  for (uint j = 0; j < kOuts; ++j)
    if (j == i) value = mv_acc[j];
  return value;
}

void write_cache(const uint matrix, const uint at, const uint word) {
  if (matrix == 1)
    keys[at] = word;
  else
    values[at] = word;
}

void write(const uint matrix, const uint first_out, const float scale) {
  const SegmentWords segment = step_.segments[0];
  const bool in_halves = kPaged && kHalf;
  uint row = 0;
  if (kPaged && matrix != 0)
    row = page_row(segment, p.page_group, segment.position) * p.kv_width;
  const uint n_at_once = matrix != 0 && in_halves ? 2 : 1;  // a word holds two halves
  for (uint i = gl_SubgroupInvocationID * n_at_once; i < kOuts;
       i += gl_SubgroupSize * n_at_once) {
    const uint o = first_out + i;
    if (o >= width_of(matrix)) continue;
    const float value = sum_at(i) * scale;
    if (matrix == 0)
      q[o] = value;
    else if (in_halves)
      write_cache(matrix, (row + o) / 2, halves_word(value, sum_at(i + 1) * scale));
    else
      write_cache(matrix, row + o, floatBitsToUint(value));
  }
}

void main() {
  const float scale = norm_scale();
  const uint q_blocks = (p.q_width + kOuts - 1) / kOuts;
  const uint kv_blocks = (p.kv_width + kOuts - 1) / kOuts;
  uint block = gl_WorkGroupID.x * gl_NumSubgroups + gl_SubgroupID;
  if (block >= q_blocks + 2 * kv_blocks) return;  // uniform in the subgroup
  uint matrix = 0;
  if (block >= q_blocks) {
    block -= q_blocks;
    matrix = 1 + block / kv_blocks;
    block %= kv_blocks;
  }
  multiply(matrix, block * kOuts);
  write(matrix, block * kOuts, scale);
}
