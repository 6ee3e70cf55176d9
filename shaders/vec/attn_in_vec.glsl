// For a step of a few rows, row r at position p:
//   q[r] = turn(q_proj @ n(x[r]) + q_bias, q_norm)
//   keys[p] = turn(k_proj @ n(x[r]) + k_bias, k_norm);  values[p] = v_proj @ n(x[r]) + v_bias
//   n(v)[c] = norm[c] * v[c] / sqrt(mean(v^2) + eps), or v[c] without a norm
// turn() normalizes a head and rotates it by its position, as in attn_turn.comp. The subgroup that
// computes the last outputs of a head turns the head of all rows.
//
// Bindings: step; x [R, D]; q [R, q_width]; keys, values in pages, as words;
//   with heads to turn: k [R, kv_width], keys that are not turned yet, and counters [heads of
//   queries and keys]
// A subgroup computes OUTS outputs of one of the three matrices, for ROWS rows; a workgroup computes
// the outputs of its subgroups. Grid: x over outputs; the outputs of each matrix are rounded up to a
// multiple of OUTS. For float16 pages, OUTS and kv_width are even, so that one subgroup computes both
// halves of a word. Requires whole subgroups, and ROWS rows or fewer.
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
layout(constant_id = BX_ATTN_IN_VEC_HEAD_DIM) const uint kHeadDim = 0;
layout(constant_id = BX_ATTN_IN_VEC_CODES) const uint kCodes = BX_CODES_AS_BYTES;
layout(constant_id = BX_ATTN_IN_VEC_Q_BIAS) const bool kQBias = false;
layout(constant_id = BX_ATTN_IN_VEC_K_BIAS) const bool kKBias = false;
layout(constant_id = BX_ATTN_IN_VEC_V_BIAS) const bool kVBias = false;
layout(constant_id = BX_ATTN_IN_VEC_Q_NORM) const bool kQNorm = false;
layout(constant_id = BX_ATTN_IN_VEC_K_NORM) const bool kKNorm = false;
layout(constant_id = BX_ATTN_IN_VEC_ROWS) const uint kRows = 1;
layout(constant_id = BX_ATTN_IN_VEC_ROTARY_FORM) const uint kRotaryForm = BX_FORM_ABSENT;

// Both blocks are the same binding: the shader reads its memory as floats or as vec4s.
layout(set = 0, binding = 1, scalar) readonly buffer X { float x[]; };
layout(set = 0, binding = 1, scalar) readonly buffer X4 { vec4 x4[]; };
layout(set = 0, binding = 2, scalar) coherent buffer Q { float q[]; };
layout(set = 0, binding = 3, scalar) writeonly buffer Keys { uint keys[]; };
layout(set = 0, binding = 4, scalar) writeonly buffer Values { uint values[]; };
layout(set = 0, binding = 5, scalar) coherent buffer K { float k[]; };
layout(set = 0, binding = 6, scalar) coherent buffer Counters { uint counters[]; };
layout(push_constant, scalar) uniform Push { AttnInVecPush p; };

#include "lib/last_subgroup.glsl"

const bool kHasNorm = kNormForm != BX_FORM_ABSENT;
const bool kTurns = kHeadDim != 0;
const bool kRotates = kRotaryForm != BX_FORM_ABSENT;
const bool kOneForm = kQForm == kKForm && kKForm == kVForm;

// Codebook i belongs to matrix i. The subgroups of a workgroup may compute different matrices.
#define CODEBOOKS \
  (3 * (FORM_HAS_CODEBOOK(kQForm) | FORM_HAS_CODEBOOK(kKForm) | FORM_HAS_CODEBOOK(kVForm)))
#define MV_CODES kCodes
#define MV_OUTS kOuts
#define MV_ROWS kRows
#define NORM_ROWS kRows
#define NORM_DATA p.norm
#include "lib/few_rows.glsl"
#include "lib/mat_vec.glsl"

// The outputs of each subgroup. A subgroup has at least 4 lanes.
shared float outs_of_group[gl_WorkGroupSize.x / 4 * kOuts * kRows];

uint width_of(const uint matrix) { return matrix == 0 ? p.q_width : p.kv_width; }

void multiply(const uint matrix, const uint first_out) {
  clear_norm();
  mat_vec_clear();
  if (kOneForm) {
    WeightAddress w = p.q;
    if (matrix == 1) w = p.k;
    if (matrix == 2) w = p.v;
    mat_vec_add(w, kQForm, matrix, p.d_model, first_out, width_of(matrix), 0, 1);
  } else if (matrix == 0) {
    mat_vec_add(p.q, kQForm, 0, p.d_model, first_out, p.q_width, 0, 1);
  } else if (matrix == 1) {
    mat_vec_add(p.k, kKForm, 1, p.d_model, first_out, p.kv_width, 0, 1);
  } else {
    mat_vec_add(p.v, kVForm, 2, p.d_model, first_out, p.kv_width, 0, 1);
  }
  norm_sum();
  for (uint r = 0; r < kRows; ++r) mat_vec_scale(r, norm_factor(r, p.d_model, p.eps));
  mat_vec_sum();
}

float bias_at(const uint matrix, const uint o) {
  if (matrix == 0) return kQBias ? Floats(p.q_bias).at[o] : 0.0;
  if (matrix == 1) return kKBias ? Floats(p.k_bias).at[o] : 0.0;
  return kVBias ? Floats(p.v_bias).at[o] : 0.0;
}

SegmentWords segment_at(const uint row) {
  return step_.segments[kRows == 1 ? 0 : segment_of(row)];
}
uint position_of(const uint row) {
  const SegmentWords segment = segment_at(row);
  return segment.position + (row - segment.first_row);
}
// The index of the first element of the row's keys, or of its values.
uint page_at(const uint row) {
  return page_row(segment_at(row), p.page_group, position_of(row)) * p.kv_width;
}

void write_cache(const uint matrix, const uint at, const uint word) {
  if (matrix == 1)
    keys[at] = word;
  else
    values[at] = word;
}

// Writes the outputs of the subgroup, which has none beyond the last block.
void write(const uint matrix, const uint first_out, const bool has_work) {
  const uint width = has_work ? width_of(matrix) : 0;
  const uint from = gl_SubgroupID * kOuts * kRows;
  for (uint j = 0; j < MV_SUMS_OF_LANE; ++j) {
    const uint i = mat_vec_sum_index(j);
    const uint o = first_out + i / kRows;
    if (i < kOuts * kRows && o < width) outs_of_group[from + i] = mv_acc[j] + bias_at(matrix, o);
  }
  subgroupMemoryBarrierShared();
  subgroupBarrier();
  // A lane takes two outputs of a row at a time.
  for (uint t = gl_SubgroupInvocationID; t < kOuts / 2 * kRows; t += gl_SubgroupSize) {
    const uint row = t % kRows;
    const uint i = t / kRows * 2;
    const uint o = first_out + i;
    if (o >= width || row >= step_.n_rows) continue;
    const bool has_next = o + 1 < width;
    const float value = outs_of_group[from + i * kRows + row];
    const float next = has_next ? outs_of_group[from + (i + 1) * kRows + row] : 0.0;
    if (matrix == 0) {
      q[row * width + o] = value;
      if (has_next) q[row * width + o + 1] = next;
    } else if (matrix == 1 && kTurns) {
      k[row * width + o] = value;
      if (has_next) k[row * width + o + 1] = next;
    } else if (kHalf) {
      write_cache(matrix, (page_at(row) + o) / 2, halves_word(value, next));
    } else {
      write_cache(matrix, page_at(row) + o, floatBitsToUint(value));
      if (has_next) write_cache(matrix, page_at(row) + o + 1, floatBitsToUint(next));
    }
  }
}

float head_element(const uint matrix, const uint at) { return matrix == 0 ? q[at] : k[at]; }

// 1 / sqrt(mean(head^2) + eps) of the head at `at`
float head_factor(const uint matrix, const uint at) {
  float sum = 0.0;
  for (uint i = gl_SubgroupInvocationID; i < kHeadDim; i += gl_SubgroupSize) {
    const float value = head_element(matrix, at + i);
    sum += value * value;
  }
  return 1.0 / sqrt(lanes_sum(sum, 1, gl_SubgroupSize) / float(kHeadDim) + p.eps);
}

// Elements i and i + d/2 of a normalized head, turned.
vec2 turned(const uint position, const uint i, const vec2 both) {
  if (!kRotates) return both;
  vec2 angle = vec2(uintBitsToFloat(0x7fc00000u));  // NaN outside the table; cosine, sine
  if (position < p.n_positions) {
    const uint at = position * kHeadDim + 2 * i;
    angle = vec2(dense_at(p.rotary, kRotaryForm & 7u, at),
                 dense_at(p.rotary, kRotaryForm & 7u, at + 1));
  }
  return vec2(both.x * angle.x - both.y * angle.y, both.y * angle.x + both.x * angle.y);
}

// Normalizes and rotates the head of a row that begins at column `first`, and writes it: queries in
// place, keys to their page. A lane takes elements i, i + 1, i + d/2 and i + d/2 + 1 at a time.
void turn(const uint matrix, const uint row, const uint first) {
  const bool has_norm = matrix == 0 ? kQNorm : kKNorm;
  const uint half_dim = kHeadDim / 2;
  const uint from = row * width_of(matrix) + first;
  const float factor = has_norm ? head_factor(matrix, from) : 1.0;
  const uint to = matrix == 0 ? from : page_at(row) + first;
  const uint position = position_of(row);
  for (uint i = 2 * gl_SubgroupInvocationID; i < half_dim; i += 2 * gl_SubgroupSize) {
    vec2 pair[2];  // of i, and of i + 1
    for (uint e = 0; e < 2; ++e) {
      const uint low = i + e;
      const uint high = low + half_dim;
      pair[e] = vec2(head_element(matrix, from + low), head_element(matrix, from + high));
      if (has_norm) {
        Floats norm = Floats(matrix == 0 ? p.q_norm : p.k_norm);
        pair[e] = vec2(norm.at[low], norm.at[high]) * pair[e] * factor;
      }
      pair[e] = turned(position, low, pair[e]);
    }
    for (uint part = 0; part < 2; ++part) {
      const uint at = to + i + part * half_dim;
      const vec2 two = part == 0 ? vec2(pair[0].x, pair[1].x) : vec2(pair[0].y, pair[1].y);
      if (matrix == 0) {
        q[at] = two.x;
        q[at + 1] = two.y;
      } else if (kHalf) {
        write_cache(1, at / 2, halves_word(two.x, two.y));
      } else {
        write_cache(1, at, floatBitsToUint(two.x));
        write_cache(1, at + 1, floatBitsToUint(two.y));
      }
    }
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
  find_rows();
  const uint q_blocks = (p.q_width + kOuts - 1) / kOuts;
  const uint kv_blocks = (p.kv_width + kOuts - 1) / kOuts;
  load_codebooks(gl_WorkGroupID.x * gl_NumSubgroups, q_blocks, kv_blocks);
  uint block = gl_WorkGroupID.x * gl_NumSubgroups + gl_SubgroupID;
  const bool has_work = block < q_blocks + 2 * kv_blocks;  // uniform in the subgroup
  if (!has_work) block = 0;
  uint matrix = 0;
  if (block >= q_blocks) {
    block -= q_blocks;
    matrix = 1 + block / kv_blocks;
    block %= kv_blocks;
  }
  if (has_work || kWholeGroups) multiply(matrix, block * kOuts);
  // From here on, subgroups without work take part in all barriers: llvmpipe of Mesa 25 and 26 makes a
  // barrier of a subgroup one of the workgroup, and leaves out what follows if a subgroup has ended.
  write(matrix, block * kOuts, has_work);
  if (!kTurns) return;
  const uint head = block * kOuts / kHeadDim;
  const uint counter = head + (matrix == 1 ? p.q_width / kHeadDim : 0);
  if (is_last_subgroup(counter, kHeadDim / kOuts, has_work && matrix != 2))
    for (uint row = 0; row < step_.n_rows; ++row) turn(matrix, row, head * kHeadDim);
}
