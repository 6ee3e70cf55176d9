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
#include "lib/half.glsl"
#include "lib/step.glsl"
#include "lib/weight.glsl"
#include "params/mat_vec.h"
#include "params/attn_in_vec.h"

layout(local_size_x_id = BX_ATTN_IN_VEC_GROUP_SIZE) in;
layout(constant_id = BX_ATTN_IN_VEC_NORM_FORM) const uint kNormForm = BX_FORM_ABSENT;
layout(constant_id = BX_ATTN_IN_VEC_Q_FORM) const uint kQForm = 0;
layout(constant_id = BX_ATTN_IN_VEC_K_FORM) const uint kKForm = 0;
layout(constant_id = BX_ATTN_IN_VEC_V_FORM) const uint kVForm = 0;
layout(constant_id = BX_ATTN_IN_VEC_HALF) const bool kHalf = true;
layout(constant_id = BX_ATTN_IN_VEC_OUTS) const uint kOuts = 4;
layout(constant_id = BX_ATTN_IN_VEC_PAGED) const bool kPaged = true;
layout(constant_id = BX_ATTN_IN_VEC_CODES) const uint kCodes = BX_CODES_AS_BYTES;

layout(set = 0, binding = 1, scalar) readonly buffer X { float x[]; };
layout(set = 0, binding = 2, scalar) readonly buffer X4 { vec4 x4[]; };
layout(set = 0, binding = 3, scalar) writeonly buffer Q { float q[]; };
layout(set = 0, binding = 4, scalar) writeonly buffer Keys { uint keys[]; };
layout(set = 0, binding = 5, scalar) writeonly buffer Values { uint values[]; };
layout(push_constant, scalar) uniform Push { AttnInVecPush p; };

const bool kHasNorm = kNormForm != BX_FORM_ABSENT;
const bool kOneForm = kQForm == kKForm && kKForm == kVForm;

// Codebook i belongs to matrix i. The subgroups of a workgroup may compute different matrices.
#define CODEBOOKS \
  (3 * (FORM_HAS_CODEBOOK(kQForm) | FORM_HAS_CODEBOOK(kKForm) | FORM_HAS_CODEBOOK(kVForm)))
#define MV_CODES kCodes
#define MV_OUTS kOuts
const uint kOneRow = 1;
#define MV_ROWS kOneRow
#define NORM_ROWS kOneRow
#include "lib/norm_x.glsl"
#define MV_X(at, c) norm_x(at, c, x[c])
#define MV_X4(at, i) norm_x4(at, i, x4[i])
#include "lib/mat_vec.glsl"

uint width_of(const uint matrix) { return matrix == 0 ? p.q_width : p.kv_width; }

void multiply(const uint matrix, const uint first_out) {
  clear_norm();
  mat_vec_clear();
  if (kOneForm) {
    WeightAddress w = p.q;
    if (matrix == 1) w = p.k;
    if (matrix == 2) w = p.v;
    mat_vec_add(w, kQForm, matrix, p.d_model, first_out, width_of(matrix), 0, 0);
  } else if (matrix == 0) {
    mat_vec_add(p.q, kQForm, 0, p.d_model, first_out, p.q_width, 0, 0);
  } else if (matrix == 1) {
    mat_vec_add(p.k, kKForm, 1, p.d_model, first_out, p.kv_width, 0, 0);
  } else {
    mat_vec_add(p.v, kVForm, 2, p.d_model, first_out, p.kv_width, 0, 0);
  }
  mat_vec_scale(0, norm_factor(0, p.d_model, p.eps));
  mat_vec_sum();
}

void write_cache(const uint matrix, const uint at, const uint word) {
  if (matrix == 1)
    keys[at] = word;
  else
    values[at] = word;
}

void write(const uint matrix, const uint first_out) {
  const SegmentWords segment = step_.segments[0];
  const bool in_halves = kPaged && kHalf && matrix != 0;
  uint row = 0;
  if (kPaged && matrix != 0)
    row = page_row(segment, p.page_group, segment.position) * p.kv_width;
  for (uint j = 0; j < MV_SUMS_OF_LANE; ++j) {
    const float value = mv_acc[j];
    const float next = subgroupShuffleXor(value, 1u);  // for even i, the value of output i + 1
    const uint i = mat_vec_sum_index(j);
    const uint o = first_out + i;
    if (i >= kOuts || o >= width_of(matrix)) continue;
    if (matrix == 0)
      q[o] = value;
    else if (!in_halves)
      write_cache(matrix, row + o, floatBitsToUint(value));
    else if (i % 2 == 0)
      write_cache(matrix, (row + o) / 2, halves_word(value, next));
  }
}

// Loads the codebooks of those matrices that blocks [first, first + gl_NumSubgroups) belong to.
void load_codebooks(const uint first, const uint q_blocks, const uint kv_blocks) {
  const uint last = first + gl_NumSubgroups - 1;
  if (first < q_blocks) load_codebook(p.q, kQForm, 0);
  if (first < q_blocks + kv_blocks && last >= q_blocks) load_codebook(p.k, kKForm, 1);
  if (last >= q_blocks + kv_blocks) load_codebook(p.v, kVForm, 2);
  codebook_barrier();
}

void main() {
  const uint q_blocks = (p.q_width + kOuts - 1) / kOuts;
  const uint kv_blocks = (p.kv_width + kOuts - 1) / kOuts;
  load_codebooks(gl_WorkGroupID.x * gl_NumSubgroups, q_blocks, kv_blocks);
  uint block = gl_WorkGroupID.x * gl_NumSubgroups + gl_SubgroupID;
  if (block >= q_blocks + 2 * kv_blocks) return;  // uniform in the subgroup
  uint matrix = 0;
  if (block >= q_blocks) {
    block -= q_blocks;
    matrix = 1 + block / kv_blocks;
    block %= kv_blocks;
  }
  multiply(matrix, block * kOuts);
  write(matrix, block * kOuts);
}
