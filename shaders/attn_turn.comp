// Adds the biases of queries, keys and values, then normalizes and rotates the heads of queries and
// keys. p is the position of a row.
//   h = x + bias;  n[i] = norm[i] * h[i] / sqrt(mean(h^2) + eps), or h[i] without a norm
//   turned[i] = n[i] * cos[p, i] - n[i + d/2] * sin[p, i]   for i < d/2
//   turned[i + d/2] = n[i + d/2] * cos[p, i] + n[i] * sin[p, i]
//
// Bindings: step; q [R, q_width], new_keys, new_values [R, kv_width], changed in place; keys, values
//   in pages, as words, where the new keys and values go if APPENDS is set. In float16 pages, a head
//   then has an even number of elements.
// A workgroup computes one head of one row. Grid: x over the heads of queries, then of keys, then of
// values; y over rows. Requires whole subgroups.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/group_sum.glsl"
#include "lib/half.glsl"
#include "lib/step.glsl"
#include "lib/weight.glsl"
#include "params/attn_turn.h"

layout(local_size_x_id = BX_ATTN_TURN_GROUP_SIZE) in;
layout(constant_id = BX_ATTN_TURN_HEAD_DIM) const uint kHeadDim = 64;
layout(constant_id = BX_ATTN_TURN_Q_BIAS) const bool kQBias = true;
layout(constant_id = BX_ATTN_TURN_K_BIAS) const bool kKBias = true;
layout(constant_id = BX_ATTN_TURN_V_BIAS) const bool kVBias = true;
layout(constant_id = BX_ATTN_TURN_Q_NORM) const bool kQNorm = true;
layout(constant_id = BX_ATTN_TURN_K_NORM) const bool kKNorm = true;
layout(constant_id = BX_ATTN_TURN_ROTARY_FORM) const uint kRotaryForm = BX_F32;
layout(constant_id = BX_ATTN_TURN_HALF) const bool kHalf = true;
layout(constant_id = BX_ATTN_TURN_APPENDS) const bool kAppends = true;

layout(set = 0, binding = 1, scalar) buffer Q { float q[]; };
layout(set = 0, binding = 2, scalar) buffer NewKeys { float new_keys[]; };
layout(set = 0, binding = 3, scalar) buffer NewValues { float new_values[]; };
layout(set = 0, binding = 4, scalar) writeonly buffer Keys { uint keys[]; };
layout(set = 0, binding = 5, scalar) writeonly buffer Values { uint values[]; };
layout(push_constant, scalar) uniform Push { AttnTurnPush p; };

const bool kRotates = kRotaryForm != BX_FORM_ABSENT;
const uint kHalfDim = (kHeadDim + 1) / 2;

shared float head[kHeadDim];

float bias_at(const uint matrix, const uint c) {
  if (matrix == 0) return kQBias ? Floats(p.q_bias).at[c] : 0.0;
  if (matrix == 1) return kKBias ? Floats(p.k_bias).at[c] : 0.0;
  return kVBias ? Floats(p.v_bias).at[c] : 0.0;
}
bool has_bias(const uint matrix) { return matrix == 0 ? kQBias : matrix == 1 ? kKBias : kVBias; }
bool has_norm(const uint matrix) { return matrix == 0 ? kQNorm : matrix == 1 ? kKNorm : false; }
float norm_at(const uint matrix, const uint i) {
  return Floats(matrix == 0 ? p.q_norm : p.k_norm).at[i];
}

float x_at(const uint matrix, const uint at) {
  return matrix == 0 ? q[at] : matrix == 1 ? new_keys[at] : new_values[at];
}
void write_x(const uint matrix, const uint at, const float value) {
  if (matrix == 0)
    q[at] = value;
  else if (matrix == 1)
    new_keys[at] = value;
  else
    new_values[at] = value;
}
void write_cache(const uint matrix, const uint at, const uint word) {
  if (matrix == 1)
    keys[at] = word;
  else
    values[at] = word;
}

// 1 / sqrt(mean(head^2) + eps)
float norm_scale(const uint n) {
  float sum = 0.0;
  for (uint i = gl_LocalInvocationID.x; i < n; i += gl_WorkGroupSize.x) sum += head[i] * head[i];
  return 1.0 / sqrt(group_sum(sum) / float(n) + p.eps);
}

// Normalizes and rotates the head. An invocation changes elements i and i + d/2 together.
void turn(const uint matrix, const uint n, const uint position) {
  const bool norm = has_norm(matrix);
  const float scale = norm ? norm_scale(n) : 1.0;  // uniform in the workgroup
  for (uint i = gl_LocalInvocationID.x; i < kHalfDim; i += gl_WorkGroupSize.x) {
    const uint j = i + kHalfDim;
    float low = i < n ? head[i] : 0.0;
    float high = j < n ? head[j] : 0.0;
    if (norm) {
      low = norm_at(matrix, i) * low * scale;
      if (j < n) high = norm_at(matrix, j) * high * scale;
    }
    if (kRotates) {
      float cosine = uintBitsToFloat(0x7fc00000u);  // NaN outside the table
      float sine = cosine;
      if (position < p.n_positions) {
        const uint at = position * kHeadDim + 2 * i;
        cosine = dense_at(p.rotary, kRotaryForm & 7u, at);
        sine = dense_at(p.rotary, kRotaryForm & 7u, at + 1);
      }
      const float turned = low * cosine - high * sine;
      high = high * cosine + low * sine;
      low = turned;
    }
    if (i < n) head[i] = low;
    if (j < n) head[j] = high;
  }
}

// Writes the n elements of the head to the pages, from element `at` on.
void append(const uint matrix, const uint at, const uint n) {
  const uint n_at_once = kHalf ? 2 : 1;  // a word holds two halves
  for (uint i = gl_LocalInvocationID.x * n_at_once; i < n; i += gl_WorkGroupSize.x * n_at_once) {
    if (kHalf)
      write_cache(matrix, (at + i) / 2, halves_word(head[i], head[min(i + 1, n - 1)]));
    else
      write_cache(matrix, at + i, floatBitsToUint(head[i]));
  }
}

void main() {
  const uint row = gl_WorkGroupID.y;
  const uint q_heads = (p.q_width + kHeadDim - 1) / kHeadDim;
  const uint kv_heads = (p.kv_width + kHeadDim - 1) / kHeadDim;
  uint index = gl_WorkGroupID.x;
  uint matrix = 0;
  if (index >= q_heads) {
    matrix = 1 + (index - q_heads) / kv_heads;
    index = (index - q_heads) % kv_heads;
  }
  const uint width = matrix == 0 ? p.q_width : p.kv_width;
  const uint column = index * kHeadDim;
  const uint n = min(kHeadDim, width - column);
  const SegmentWords segment = step_.segments[segment_of(row)];
  const uint position = segment.position + (row - segment.first_row);
  for (uint i = gl_LocalInvocationID.x; i < n; i += gl_WorkGroupSize.x) {
    head[i] = x_at(matrix, row * width + column + i);
    if (has_bias(matrix)) head[i] += bias_at(matrix, column + i);
  }
  barrier();
  if (matrix != 2) turn(matrix, n, position);
  barrier();
  if (kAppends && matrix != 0) {
    append(matrix, page_row(segment, p.page_group, position) * p.kv_width + column, n);
  } else {
    for (uint i = gl_LocalInvocationID.x; i < n; i += gl_WorkGroupSize.x)
      write_x(matrix, row * width + column + i, head[i]);
  }
}
