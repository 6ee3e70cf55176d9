// Attention over one part of the keys of a row and head:
//   s_j = q . k_j * scale;  totals = (m, sum_j exp(s_j - m)), m = max_j s_j;
//   weighted = sum_j exp(s_j - m) * v_j
//
// Bindings: step; q [R, D]; keys, values [capacity, D] as words and as pairs;
//   totals [R, n_heads, n_splits, 2]; weighted [R, n_heads, n_splits, units of a head * 4]
// Grid: x over heads, y over parts, z over rows. Workgroups of parts beyond the row's keys do
// nothing, and attention_merge does not read the results of such parts.
// A workgroup has n groups of kLanes lanes. Each group holds a copy of the query, takes every n-th
// key of the part and has its own softmax. Then the results of the groups in each subgroup are
// merged, and finally the results of the subgroups. Requires whole subgroups of at least kLanes
// lanes.
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

float largest = kLowest;
float total = 0.0;
vec4 sums[kUnits];

void rescale(const float factor) {
  total *= factor;
  for (uint c = 0; c < kUnits; ++c) sums[c] *= factor;
}

// All groups of lanes together process n keys from position `first` on. In the names of this
// function, "query" means a group of lanes.
void read_keys(const SegmentWords segment, const uint row, const uint head, const uint first,
               const uint n) {
  const uint ring_row = first % p.capacity;
  const uint lane = gl_SubgroupInvocationID % kLanes;
  const uint per_subgroup = gl_SubgroupSize / kLanes;
  const uint query = gl_SubgroupID * per_subgroup + gl_SubgroupInvocationID / kLanes;
  const uint n_queries = gl_NumSubgroups * per_subgroup;
  vec4 q[kUnits];
  for (uint c = 0; c < kUnits; ++c) {
    q[c] = query_unit(row, head, lane + c * kLanes);
    sums[c] = vec4(0.0);
  }
  // All lanes run the same number of rounds, so that all take part in the shuffles.
  for (uint base = 0; base < n; base += n_queries) {
    const uint at = ring_element(ring_row, min(base + query, n - 1), head);
    vec4 k[kUnits];
    vec4 v[kUnits];
    for (uint c = 0; c < kUnits; ++c) {
      const uint u = lane + c * kLanes;
      k[c] = v[c] = vec4(0.0);
      if (u < head_units()) {
        k[c] = key_unit(segment.slot * p.keys_stride + at + 4 * u, p.head_dim - 4 * u);
        v[c] = value_unit(segment.slot * p.values_stride + at + 4 * u, p.head_dim - 4 * u);
      }
    }
    float score = 0.0;
    for (uint c = 0; c < kUnits; ++c) score += dot(q[c], k[c]);
    score = lanes_sum(score);
    if (base + query < n) {
      if (score > largest) {
        rescale(softmax_exp(largest - score));
        largest = score;
      }
      const float weight = softmax_exp(score - largest);
      total += weight;
      for (uint c = 0; c < kUnits; ++c) sums[c] += weight * v[c];
    }
  }
}

// Merges the results of all groups of lanes in the subgroup. Afterwards every group of lanes holds
// the result of the whole subgroup.
void merge_subgroup() {
  const float all = subgroupMax(largest);
  rescale(softmax_exp(largest - all));
  largest = all;
  for (uint s = kLanes; s < gl_SubgroupSize; s <<= 1) {
    total += subgroupShuffleXor(total, s);
    for (uint c = 0; c < kUnits; ++c) sums[c] += subgroupShuffleXor(sums[c], s);
  }
}

void merge_subgroups(const uint part) {
  if (gl_SubgroupInvocationID < kLanes) {
    for (uint c = 0; c < kUnits; ++c)
      shared_sums[(gl_SubgroupID * kUnits + c) * kLanes + gl_SubgroupInvocationID] = sums[c];
    shared_largest[gl_SubgroupID] = largest;
    shared_total[gl_SubgroupID] = total;
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
  const uint head = gl_WorkGroupID.x;
  const uint split = gl_WorkGroupID.y;
  const uint row = gl_WorkGroupID.z;
  const SegmentWords segment = step_.segments[segment_of(row)];
  const KeySpan span = keys_at(segment.position + (row - segment.first_row));
  const uint first = split * split_keys(span.n);
  if (first < span.n) {
    read_keys(segment, row, head, span.first + first, min(split_keys(span.n), span.n - first));
    merge_subgroup();
    merge_subgroups((row * p.n_heads + head) * p.n_splits + split);
  }
}
