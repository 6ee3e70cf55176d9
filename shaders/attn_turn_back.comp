// The gradients of turned heads. p is the position of a row; g the gradient of the turned head.
//   g_n[i] = g[i] * cos[p, i] + g[i + d/2] * sin[p, i]   for i < d/2
//   g_n[i + d/2] = g[i + d/2] * cos[p, i] - g[i] * sin[p, i]
//   g_x = rho * norm * g_n - x * rho^3 * mean(norm * g_n * x),  rho = 1 / sqrt(mean(x^2) + eps)
// Without a table or a norm, that part is left out. The gradients of values are copied.
//
// Bindings: step; q [R, q_width]; k [R, kv_width]; g_y [R, q_width]; g_keys, g_values in pages;
//   g_q [R, q_width]; g_k, g_v [R, kv_width]
// A workgroup computes one head of one row. Grid: x over the heads of queries, then of keys, then of
// values; y over rows. Requires whole subgroups.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/group_sum.glsl"
#include "lib/step.glsl"
#include "lib/weight.glsl"
#include "params/attn_turn_back.h"

layout(local_size_x_id = BX_ATTN_TURN_BACK_GROUP_SIZE) in;
layout(constant_id = BX_ATTN_TURN_BACK_HEAD_DIM) const uint kHeadDim = 64;
layout(constant_id = BX_ATTN_TURN_BACK_Q_NORM) const bool kQNorm = true;
layout(constant_id = BX_ATTN_TURN_BACK_K_NORM) const bool kKNorm = true;
layout(constant_id = BX_ATTN_TURN_BACK_ROTARY_FORM) const uint kRotaryForm = BX_F32;

layout(set = 0, binding = 1, scalar) readonly buffer Q { float q[]; };
layout(set = 0, binding = 2, scalar) readonly buffer K { float k[]; };
layout(set = 0, binding = 3, scalar) readonly buffer GY { float g_y[]; };
layout(set = 0, binding = 4, scalar) readonly buffer GKeys { float g_keys[]; };
layout(set = 0, binding = 5, scalar) readonly buffer GValues { float g_values[]; };
layout(set = 0, binding = 6, scalar) writeonly buffer GQ { float g_q[]; };
layout(set = 0, binding = 7, scalar) writeonly buffer GK { float g_k[]; };
layout(set = 0, binding = 8, scalar) writeonly buffer GV { float g_v[]; };
layout(push_constant, scalar) uniform Push { AttnTurnBackPush p; };

const bool kRotates = kRotaryForm != BX_FORM_ABSENT;
const uint kHalfDim = (kHeadDim + 1) / 2;

shared float head[kHeadDim];  // g, then g_n

float x_at(const uint matrix, const uint at) { return matrix == 0 ? q[at] : k[at]; }

// Rotates the gradient back. An invocation changes elements i and i + d/2 together.
void rotate_back(const uint n, const uint position) {
  for (uint i = gl_LocalInvocationID.x; i + kHalfDim < n; i += gl_WorkGroupSize.x) {
    float cosine = uintBitsToFloat(0x7fc00000u);  // NaN outside the table
    float sine = cosine;
    if (position < p.n_positions) {
      const uint at = position * kHeadDim + 2 * i;
      cosine = dense_at(p.rotary, kRotaryForm & 7u, at);
      sine = dense_at(p.rotary, kRotaryForm & 7u, at + 1);
    }
    const float low = head[i];
    const float high = head[i + kHalfDim];
    head[i] = low * cosine + high * sine;
    head[i + kHalfDim] = high * cosine - low * sine;
  }
}

// Goes back through the norm of a head of x, which begins at `at`.
void norm_back(const uint matrix, const uint at, const uint n) {
  const uvec2 norm = matrix == 0 ? p.q_norm : p.k_norm;
  float squares = 0.0;
  float along = 0.0;
  for (uint i = gl_LocalInvocationID.x; i < n; i += gl_WorkGroupSize.x) {
    const float x = x_at(matrix, at + i);
    squares += x * x;
    along += Floats(norm).at[i] * head[i] * x;
  }
  const float rho = 1.0 / sqrt(group_sum(squares) / float(n) + p.eps);
  const float part = group_sum(along) / float(n) * rho * rho * rho;
  for (uint i = gl_LocalInvocationID.x; i < n; i += gl_WorkGroupSize.x)
    head[i] = rho * Floats(norm).at[i] * head[i] - x_at(matrix, at + i) * part;
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
  const uint at = row * width + column;
  const uint paged = page_row(segment, p.page_group, position) * p.kv_width + column;
  for (uint i = gl_LocalInvocationID.x; i < n; i += gl_WorkGroupSize.x)
    head[i] = matrix == 0 ? g_y[at + i] : matrix == 1 ? g_keys[paged + i] : g_values[paged + i];
  barrier();
  if (matrix != 2 && kRotates) rotate_back(n, position);
  barrier();
  if (matrix == 0 ? kQNorm : matrix == 1 && kKNorm) norm_back(matrix, at, n);
  barrier();
  for (uint i = gl_LocalInvocationID.x; i < n; i += gl_WorkGroupSize.x) {
    if (matrix == 0)
      g_q[at + i] = head[i];
    else if (matrix == 1)
      g_k[at + i] = head[i];
    else
      g_v[at + i] = head[i];
  }
}
