// Attention over one part of the keys of a row, for kShared heads of queries with the same keys:
//   s_j = q . k_j * scale;  totals = (m, sum_j exp(s_j - m)), m = max_j s_j;
//   weighted = sum_j exp(s_j - m) * v_j
//
// Bindings: step; q [R, Hq * d]; keys, values in pages, as words and as pairs;
//   totals [R, n_heads, n_splits, 2]; weighted [R, n_heads, n_splits, units of a head * 4]
// Grid: x over groups of kShared heads, y over parts, z over rows. Workgroups of parts beyond the
// row's keys do nothing, and attention_merge does not read the results of such parts.
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

layout(set = 0, binding = 6, scalar) writeonly buffer Totals { vec2 totals[]; };
layout(set = 0, binding = 7, scalar) writeonly buffer Weighted { vec4 weighted[]; };

shared float shared_largest[kSubgroups];
shared float shared_total[kSubgroups];
shared vec4 shared_sums[kSubgroups * kLanes * kUnits];

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
    rescale(h, softmax_exp(largest[h] - score));
    largest[h] = score;
  }
  const float weight = softmax_exp(score - largest[h]);
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
      q[h * kUnits + c] = query_unit(row, head + h, lane + c * kLanes);
      sums[h * kUnits + c] = vec4(0.0);
    }
  }
  // All lanes run the same number of rounds, so that all take part in the shuffles.
  for (uint base = 0; base < n; base += n_queries) {
    const uint at = kv_element(segment, first + min(base + query, n - 1), kv_head(head));
    vec4 k[kUnits];
    for (uint c = 0; c < kUnits; ++c) {
      const uint u = lane + c * kLanes;
      k[c] = v[c] = vec4(0.0);
      if (u < head_units()) {
        k[c] = key_unit(at + 4 * u, p.head_dim - 4 * u);
        v[c] = value_unit(at + 4 * u, p.head_dim - 4 * u);
      }
    }
    for (uint h = 0; h < kShared; ++h) {
      float score = 0.0;
      for (uint c = 0; c < kUnits; ++c) score += dot(q[h * kUnits + c], k[c]);
      score = lanes_sum(score, 1, kLanes);
      if (base + query < n) absorb(h, score);
    }
  }
}

// Merges the results of all groups of lanes in the subgroup. Afterwards every group of lanes holds
// the result of the whole subgroup.
void merge_subgroup(const uint h) {
  const float all = subgroupMax(largest[h]);
  rescale(h, softmax_exp(largest[h] - all));
  largest[h] = all;
  total[h] = lanes_sum(total[h], kLanes, gl_SubgroupSize);
  for (uint c = 0; c < kUnits; ++c)
    for (uint e = 0; e < 4; ++e)
      sums[h * kUnits + c][e] = lanes_sum(sums[h * kUnits + c][e], kLanes, gl_SubgroupSize);
}

void merge_subgroups(const uint h, const uint part) {
  barrier();  // all invocations have read the results of an earlier query
  if (gl_SubgroupInvocationID < kLanes) {
    for (uint c = 0; c < kUnits; ++c)
      shared_sums[(gl_SubgroupID * kUnits + c) * kLanes + gl_SubgroupInvocationID] =
          sums[h * kUnits + c];
    shared_largest[gl_SubgroupID] = largest[h];
    shared_total[gl_SubgroupID] = total[h];
  }
  barrier();
  float all = kLowest;
  for (uint i = 0; i < gl_NumSubgroups; ++i) all = max(all, shared_largest[i]);
  for (uint u = gl_LocalInvocationIndex; u < head_units(); u += gl_WorkGroupSize.x) {
    vec4 sum = vec4(0.0);
    float sum_total = 0.0;
    for (uint i = 0; i < gl_NumSubgroups; ++i) {
      const float factor = softmax_exp(shared_largest[i] - all);
      sum += factor * shared_sums[i * kUnits * kLanes + u];
      sum_total += factor * shared_total[i];
    }
    weighted[part * head_units() + u] = sum;
    if (u == 0) totals[part] = vec2(all, sum_total);
  }
}

void main() {
  const uint head = first_head(gl_WorkGroupID.x);
  const uint split = gl_WorkGroupID.y;
  const uint row = gl_WorkGroupID.z;
  const SegmentWords segment = step_.segments[segment_of(row)];
  const KeySpan span = keys_at(segment.position + (row - segment.first_row));
  const uint first = split * split_keys(span.n);
  if (first < span.n) {  // uniform in the workgroup
    read_keys(segment, row, head, span.first + first, min(split_keys(span.n), span.n - first));
    for (uint h = 0; h < kShared; ++h) {
      merge_subgroup(h);
      merge_subgroups(h, (row * p.n_heads + head + h) * p.n_splits + split);
    }
  }
}
