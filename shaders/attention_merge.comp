// attention_split computes one result for each part of a row's keys. This shader merges the results
// of all n parts i:
//   y[row, head] = sum_i exp(m_i - m) * weighted_i / sum_i exp(m_i - m) * total_i,  m = max_i m_i
//
// Bindings: step; totals [R, n_heads, n_splits, 2] of (m_i, total_i);
//   weighted [R, n_heads, n_splits, units of a head * 4]; y [R, D]
// Grid: x over heads, y over rows. A unit is four elements of a head. Each thread of a workgroup
// sums one unit at a time. If there are at least two threads per unit, several threads share a
// unit, and each of them sums some of the parts.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/attention.glsl"
#include "params/attention_merge.h"

layout(local_size_x_id = BX_ATTENTION_MERGE_GROUP_SIZE) in;

layout(set = 0, binding = 1, scalar) readonly buffer Totals { vec2 totals[]; };
layout(set = 0, binding = 2, scalar) readonly buffer Weighted { vec4 weighted[]; };
layout(set = 0, binding = 3, scalar) writeonly buffer Y { float y[]; };

shared vec2 shared_totals[BX_ATTENTION_MERGE_MAX_SPLITS];
shared float shared_factors[BX_ATTENTION_MERGE_MAX_SPLITS];
shared vec4 shared_sums[gl_WorkGroupSize.x];

// The weighted sum of unit u over the parts begin, begin + stride, ... `part` is the index of the
// first part of the row and head.
vec4 sum_of(const uint part, const uint n_parts, const uint n_units, const uint u, const uint begin,
            const uint stride) {
  vec4 sum = vec4(0.0);
  for (uint i = begin; i < n_parts; i += stride)
    sum += shared_factors[i] * weighted[(part + i) * n_units + u];
  return sum;
}

void write_unit(const uint at, const uint u, const vec4 unit) {
  for (uint i = 0; i < 4; ++i)
    if (4 * u + i < p.head_dim) y[at + 4 * u + i] = unit[i];
}

void main() {
  const uint head = gl_WorkGroupID.x;
  const uint row = gl_WorkGroupID.y;
  const uint thread = gl_LocalInvocationIndex;
  const uint n_threads = gl_WorkGroupSize.x;
  const SegmentWords segment = step_.segments[segment_of(row)];
  const uint n_parts = n_splits_of(keys_at(segment.position + (row - segment.first_row)).n);
  const uint part = (row * p.n_heads + head) * p.n_splits;
  for (uint i = thread; i < n_parts; i += n_threads) shared_totals[i] = totals[part + i];
  barrier();
  float largest = kLowest;
  for (uint i = 0; i < n_parts; ++i) largest = max(largest, shared_totals[i].x);
  for (uint i = thread; i < n_parts; i += n_threads)
    shared_factors[i] = softmax_exp(shared_totals[i].x - largest);
  barrier();
  float total = 0.0;
  for (uint i = 0; i < n_parts; ++i) total += shared_factors[i] * shared_totals[i].y;

  const uint n_units = (p.head_dim + 3) / 4;
  const uint stride = max(n_threads / n_units, 1u);
  const uint y_at = (row * p.n_heads + head) * p.head_dim;
  for (uint first = 0; first < n_units; first += n_threads) {
    const uint u = first + thread % n_units;
    const uint begin = thread / n_units;
    vec4 sum = vec4(0.0);
    if (u < n_units && begin < stride) sum = sum_of(part, n_parts, n_units, u, begin, stride);
    shared_sums[thread] = sum;
    barrier();
    if (u < n_units && begin == 0) {
      for (uint k = 1; k < stride; ++k) sum += shared_sums[thread + k * n_units];
      write_unit(y_at, u, sum / total);
    }
    barrier();
  }
}
