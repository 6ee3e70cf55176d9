// Attention over one part i of the keys of a row, for kShared heads of queries with the same keys:
//   s_j = q . k_j * scale / ln 2;  totals_i = (m_i, t_i = sum_j 2^(s_j - m_i)), m_i = max_j s_j;
//   weighted_i = sum_j 2^(s_j - m_i) * v_j
// The last part that is done merges all parts:
//   y = sum_i 2^(m_i - m) * weighted_i / sum_i 2^(m_i - m) * t_i,  m = max_i m_i
//
// Bindings: step; q [R, Hq * d]; keys, values in pages, as words and as pairs;
//   totals [R, n_heads, n_splits, 2]; weighted [R, n_heads, n_splits, units of a head * 4];
//   y [R, Hq * d]; counters [R, n_heads / kShared]
// Grid: x over groups of kShared heads, y over parts, z over rows. Workgroups of parts beyond the
// row's keys do nothing.
// A workgroup has n groups of kLanes lanes. Each group holds a copy of the queries, takes every
// n-th key of the part and has its own softmax for each query. Then the results of the groups in
// each subgroup are merged, and finally the results of the subgroups. Requires whole subgroups of
// at least kLanes lanes.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#include "lib/attention_lanes.glsl"
#include "params/attention_split.h"

layout(constant_id = BX_ATTENTION_SPLIT_SUBGROUPS) const uint kSubgroups = 4;

layout(set = 0, binding = 6, scalar) coherent buffer Totals { vec2 totals[]; };
layout(set = 0, binding = 7, scalar) coherent buffer Weighted { vec4 weighted[]; };
layout(set = 0, binding = 8, scalar) writeonly buffer Y { float y[]; };
layout(set = 0, binding = 9, scalar) coherent buffer Counters { uint counters[]; };

#include "lib/last_group.glsl"

shared float shared_largest[kSubgroups];
shared float shared_total[kSubgroups];
shared vec4 shared_sums[kSubgroups * kLanes * kUnits];
// What merging the parts needs: totals, then the weight of each part, and a sum of each invocation.
shared vec2 part_totals[BX_ATTENTION_MAX_SPLITS];
shared float part_factors[BX_ATTENTION_MAX_SPLITS];
shared vec4 part_sums[gl_WorkGroupSize.x];

float largest[kShared];
float total[kShared];
vec4 sums[kShared * kUnits];
// The value of a key. It is global, because a function cannot take an array whose size is a
// specialization constant.
vec4 v[kUnits];

void rescale(const uint h, const float factor) {
  total[h] *= factor;
  for (uint c = 0; c < kUnits; ++c) sums[h * kUnits + c] *= factor;
}

// Adds the value of a key with this score to the sums of query h.
void absorb(const uint h, const float score) {
  if (score > largest[h]) {
    rescale(h, softmax_exp2(largest[h] - score));
    largest[h] = score;
  }
  const float weight = softmax_exp2(score - largest[h]);
  total[h] += weight;
  for (uint c = 0; c < kUnits; ++c) sums[h * kUnits + c] += weight * v[c];
}

// All groups of lanes together process n keys from position `first` on. In the names of this
// function, "query" means a group of lanes.
void read_keys(const SegmentWords segment, const uint row, const uint head, const uint first,
               const uint n) {
  const uint lane = gl_SubgroupInvocationID % kLanes;
  const uint per_subgroup = gl_SubgroupSize / kLanes;
  const uint query = gl_SubgroupID * per_subgroup + gl_SubgroupInvocationID / kLanes;
  const uint n_queries = gl_NumSubgroups * per_subgroup;
  vec4 q[kShared * kUnits];
  for (uint h = 0; h < kShared; ++h) {
    largest[h] = kLowest;
    total[h] = 0.0;
    for (uint c = 0; c < kUnits; ++c) {
      q[h * kUnits + c] = query_unit(row, head + h, lane + c * kLanes) * kLog2E;
      sums[h * kUnits + c] = vec4(0.0);
    }
  }
  // All lanes run the same number of rounds, so that all take part in the shuffles.
  for (uint base = 0; base < n; base += n_queries) {
    const uint at = kv_element(segment, first + min(base + query, n - 1), kv_head(head));
    uvec4 loaded_key[kUnits], loaded_value[kUnits];
    for (uint c = 0; c < kUnits; ++c) {
      const uint u = lane + c * kLanes;
      loaded_key[c] = loaded_value[c] = uvec4(0);
      // Only the last unit of a lane may be beyond the end of the head.
      if (c + 1 < kUnits || u < head_units()) {
        loaded_key[c] = load_key(at + 4 * u, p.head_dim - 4 * u);
        loaded_value[c] = load_value(at + 4 * u, p.head_dim - 4 * u);
      }
    }
    // First all scores, so that the key need not be kept while its value is added.
    float scores[kShared];
    for (uint h = 0; h < kShared; ++h) scores[h] = 0.0;
    for (uint c = 0; c < kUnits; ++c) {
      const vec4 k = loaded_unit(loaded_key[c]);
      for (uint h = 0; h < kShared; ++h)
        for (uint e = 0; e < 4; ++e) scores[h] = q[h * kUnits + c][e] * k[e] + scores[h];
    }
    for (uint h = 0; h < kShared; ++h) scores[h] = lanes_sum(scores[h], 1, kLanes);
    for (uint c = 0; c < kUnits; ++c) v[c] = loaded_unit(loaded_value[c]);
    if (base + query < n)
      for (uint h = 0; h < kShared; ++h) absorb(h, scores[h]);
  }
}

// Merges the results of all groups of lanes in the subgroup. Afterwards every group of lanes holds
// the result of the whole subgroup.
void merge_subgroup(const uint h) {
  const float all = subgroupMax(largest[h]);
  rescale(h, softmax_exp2(largest[h] - all));
  largest[h] = all;
  total[h] = lanes_sum(total[h], kLanes, gl_SubgroupSize);
  for (uint c = 0; c < kUnits; ++c)
    for (uint e = 0; e < 4; ++e)
      sums[h * kUnits + c][e] = lanes_sum(sums[h * kUnits + c][e], kLanes, gl_SubgroupSize);
}

// Writes unit u of the result of a row and head.
void write_unit(const uint row, const uint head, const uint u, const vec4 unit) {
  const uint at = (row * p.n_heads + head) * p.head_dim + 4 * u;
  for (uint i = 0; i < 4; ++i)
    if (4 * u + i < p.head_dim) y[at + i] = unit[i];
}

// The index of the first part of a row and head.
uint first_part(const uint row, const uint head) { return (row * p.n_heads + head) * p.n_splits; }

// Merges the results of the subgroups. The only part of a row is the result; other parts are kept
// for the last one.
void merge_subgroups(const uint h, const uint row, const uint head, const uint split,
                     const uint n_parts) {
  const uint part = first_part(row, head) + split;
  barrier();  // all invocations have read the results of an earlier query
  // `h` is no constant here, so the arrays in registers are indexed by that of an unrolled loop.
  for (uint i = 0; i < kShared; ++i)
    if (i == h && gl_SubgroupInvocationID < kLanes) {
      for (uint c = 0; c < kUnits; ++c)
        shared_sums[(gl_SubgroupID * kUnits + c) * kLanes + gl_SubgroupInvocationID] =
            sums[i * kUnits + c];
      shared_largest[gl_SubgroupID] = largest[i];
      shared_total[gl_SubgroupID] = total[i];
    }
  barrier();
  float all = kLowest;
  for (uint i = 0; i < gl_NumSubgroups; ++i) all = max(all, shared_largest[i]);
  for (uint u = gl_LocalInvocationIndex; u < head_units(); u += gl_WorkGroupSize.x) {
    vec4 sum = vec4(0.0);
    float sum_total = 0.0;
    for (uint i = 0; i < gl_NumSubgroups; ++i) {
      const float factor = softmax_exp2(shared_largest[i] - all);
      sum += factor * shared_sums[i * kUnits * kLanes + u];
      sum_total += factor * shared_total[i];
    }
    if (n_parts == 1) {
      write_unit(row, head, u, sum / sum_total);
    } else {
      weighted[part * head_units() + u] = sum;
      if (u == 0) totals[part] = vec2(all, sum_total);
    }
  }
}

// The sum of unit u over the parts begin, begin + stride, ... `part` is the index of the first part.
vec4 sum_of_parts(const uint part, const uint n_parts, const uint u, const uint begin,
                  const uint stride) {
  vec4 sum = vec4(0.0);
  for (uint i = begin; i < n_parts; i += stride)
    sum += part_factors[i] * weighted[(part + i) * head_units() + u];
  return sum;
}

// Merges all parts of a row and head. If there are at least two invocations per unit, several share
// a unit, and each of them sums some of the parts.
void merge_parts(const uint row, const uint head, const uint n_parts) {
  const uint thread = gl_LocalInvocationIndex;
  const uint n_threads = gl_WorkGroupSize.x;
  const uint part = first_part(row, head);
  for (uint i = thread; i < n_parts; i += n_threads) part_totals[i] = totals[part + i];
  barrier();
  float all = kLowest;
  for (uint i = 0; i < n_parts; ++i) all = max(all, part_totals[i].x);
  for (uint i = thread; i < n_parts; i += n_threads)
    part_factors[i] = softmax_exp2(part_totals[i].x - all);
  barrier();
  float sum_total = 0.0;
  for (uint i = 0; i < n_parts; ++i) sum_total += part_factors[i] * part_totals[i].y;

  const uint n_units = head_units();
  const uint stride = max(n_threads / n_units, 1u);
  for (uint first = 0; first < n_units; first += n_threads) {
    const uint u = first + thread % n_units;
    const uint begin = thread / n_units;
    vec4 sum = vec4(0.0);
    if (u < n_units && begin < stride) sum = sum_of_parts(part, n_parts, u, begin, stride);
    part_sums[thread] = sum;
    barrier();
    if (u < n_units && begin == 0) {
      for (uint k = 1; k < stride; ++k) sum += part_sums[thread + k * n_units];
      write_unit(row, head, u, sum / sum_total);
    }
    barrier();
  }
}

void main() {
  const uint head = first_head(gl_WorkGroupID.x);
  const uint split = gl_WorkGroupID.y;
  const uint row = gl_WorkGroupID.z;
  const SegmentWords segment = step_.segments[segment_of(row)];
  const KeySpan span = keys_at(segment.position + (row - segment.first_row));
  const uint first = split * split_keys(span.n);
  if (first >= span.n) return;  // uniform in the workgroup
  const uint n_parts = n_splits_of(span.n);
  read_keys(segment, row, head, span.first + first, min(split_keys(span.n), span.n - first));
  for (uint h = 0; h < kShared; ++h) merge_subgroup(h);
  for (uint h = 0; h < kShared; ++h) merge_subgroups(h, row, head + h, split, n_parts);
  if (n_parts == 1 || !is_last_group(row * gl_NumWorkGroups.x + gl_WorkGroupID.x, n_parts)) return;
  for (uint h = 0; h < kShared; ++h) merge_parts(row, head + h, n_parts);
}
