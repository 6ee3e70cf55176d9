// The gradient of the queries of attention, for one head of one row:
//   P_j = softmax(q . k_j * scale);  dS_j = P_j * (g_y . v_j - dot(g_y, y)) * scale
//   g_q = sum_j dS_j k_j
//
// Bindings: step; q, y, g_y [R, Hq * d]; keys, values in pages, as words; g_q [R, Hq * d];
//   stats [R, Hq, 3]: the largest score, sum_j exp(score_j - largest), and dot(g_y, y)
// A workgroup computes one head of one row. Grid: x over heads, y over rows. Requires whole
// subgroups.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#include "lib/attention_back.glsl"
#include "lib/group_sum.glsl"

layout(set = 0, binding = 1, scalar) readonly buffer Q { float q[]; };
layout(set = 0, binding = 2, scalar) readonly buffer Y { float y[]; };
layout(set = 0, binding = 3, scalar) readonly buffer GY { float g_y[]; };
layout(set = 0, binding = 4, scalar) readonly buffer Keys { uint keys[]; };
layout(set = 0, binding = 5, scalar) readonly buffer Values { uint values[]; };
layout(set = 0, binding = 6, scalar) writeonly buffer GQ { float g_q[]; };
layout(set = 0, binding = 7, scalar) writeonly buffer Stats { float stats[]; };

shared float head_q[kHeadDim];
shared float head_g[kHeadDim];
shared float sums[kHeadDim];
shared float factors[gl_WorkGroupSize.x];  // dS of some keys
shared uint places[gl_WorkGroupSize.x];    // where these keys begin
shared float largest_parts[256];

float key_at(const uint at) { return kHalf ? half_at(keys[at >> 1], at) : uintBitsToFloat(keys[at]); }
float value_at(const uint at) {
  return kHalf ? half_at(values[at >> 1], at) : uintBitsToFloat(values[at]);
}

float score_of(const uint place) {
  precise float sum = 0.0;
  for (uint c = 0; c < kHeadDim; ++c) sum += head_q[c] * key_at(place + c);
  precise const float score = sum * p.scale;
  return score;
}

// The largest value of all invocations.
float group_largest(const float value) {
  const float part = subgroupMax(value);
  barrier();
  if (subgroupElect()) largest_parts[gl_SubgroupID] = part;
  barrier();
  float largest = largest_parts[0];
  for (uint i = 1; i < gl_NumSubgroups; ++i)
    largest = largest_parts[i] > largest ? largest_parts[i] : largest;
  return largest;
}

void main() {
  const uint head = gl_WorkGroupID.x;
  const uint row = gl_WorkGroupID.y;
  const uint lane = gl_LocalInvocationID.x;
  const SegmentWords segment = step_.segments[segment_of(row)];
  const uint position = segment.position + (row - segment.first_row);
  const uint first = first_key(position);
  const uint at = (row * p.n_heads + head) * kHeadDim;
  float along = 0.0;
  for (uint c = lane; c < kHeadDim; c += gl_WorkGroupSize.x) {
    head_q[c] = q[at + c];
    head_g[c] = g_y[at + c];
    sums[c] = 0.0;
    along += g_y[at + c] * y[at + c];
  }
  along = group_sum(along);
  barrier();

  float largest = kLeast;
  for (uint j = first + lane; j <= position; j += gl_WorkGroupSize.x) {
    const float score = score_of(head_place(segment, j, head));
    largest = score > largest ? score : largest;
  }
  largest = group_largest(largest);
  float total = 0.0;
  for (uint j = first + lane; j <= position; j += gl_WorkGroupSize.x)
    total += exp_of(score_of(head_place(segment, j, head)) - largest);
  total = group_sum(total);

  for (uint block = first; block <= position; block += gl_WorkGroupSize.x) {
    const uint n = min(gl_WorkGroupSize.x, position - block + 1);
    barrier();  // the factors of the previous block have been read
    if (lane < n) {
      const uint place = head_place(segment, block + lane, head);
      float g = 0.0;
      for (uint c = 0; c < kHeadDim; ++c) g += head_g[c] * value_at(place + c);
      places[lane] = place;
      factors[lane] = exp_of(score_of(place) - largest) / total * (g - along) * p.scale;
    }
    barrier();
    for (uint c = lane; c < kHeadDim; c += gl_WorkGroupSize.x) {
      float sum = sums[c];
      for (uint j = 0; j < n; ++j) sum += factors[j] * key_at(places[j] + c);
      sums[c] = sum;
    }
  }
  for (uint c = lane; c < kHeadDim; c += gl_WorkGroupSize.x) g_q[at + c] = sums[c];
  if (lane == 0) {
    const uint to = (row * p.n_heads + head) * 3;
    stats[to] = largest;
    stats[to + 1] = total;
    stats[to + 2] = along;
  }
}
