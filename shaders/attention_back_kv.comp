// The gradients of keys and values of attention, for one head of keys at position j:
//   P_i = exp(q_i . k_j * scale - largest_i) / total_i
//   dS_i = P_i * (g_y_i . v_j - along_i) * scale
//   g_k += sum_i dS_i q_i;  g_v += sum_i P_i g_y_i
// i counts the rows that attend to j, and for each row the heads of queries that share the head of
// keys. The sums are added to what later steps have written, or written if no step has.
//
// Bindings: step; q, g_y [R, Hq * d]; keys, values in pages, as words; stats [R, Hq, 3] (see
//   attention_back.comp); g_keys, g_values in pages, float32
// A workgroup computes every gl_NumWorkGroups.x-th position of one segment. Grid: x over positions,
// y over heads of keys, z over segments.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/attention_back.glsl"

layout(set = 0, binding = 1, scalar) readonly buffer Q { float q[]; };
layout(set = 0, binding = 2, scalar) readonly buffer GY { float g_y[]; };
layout(set = 0, binding = 3, scalar) readonly buffer Keys { uint keys[]; };
layout(set = 0, binding = 4, scalar) readonly buffer Values { uint values[]; };
layout(set = 0, binding = 5, scalar) readonly buffer Stats { float stats[]; };
layout(set = 0, binding = 6, scalar) buffer GKeys { float g_keys[]; };
layout(set = 0, binding = 7, scalar) buffer GValues { float g_values[]; };

shared float key[kHeadDim];
shared float value[kHeadDim];
shared float g_key[kHeadDim];
shared float g_value[kHeadDim];
// dS and P of some pairs of a row and a head, and where these heads begin in q.
shared float score_factors[gl_WorkGroupSize.x];
shared float weights[gl_WorkGroupSize.x];
shared uint places[gl_WorkGroupSize.x];

float word_at(const uint word, const uint at) { return kHalf ? half_at(word, at) : uintBitsToFloat(word); }

// Computes dS and P for one pair: head `head` of row `row`.
void weigh(const uint lane, const uint row, const uint head) {
  const uint at = (row * p.n_heads + head) * kHeadDim;
  precise float sum = 0.0;
  float g = 0.0;
  for (uint c = 0; c < kHeadDim; ++c) {
    sum += q[at + c] * key[c];
    g += g_y[at + c] * value[c];
  }
  precise const float score = sum * p.scale;
  const uint from = (row * p.n_heads + head) * 3;
  const float weight = exp_of(score - stats[from]) / stats[from + 1];
  weights[lane] = weight;
  score_factors[lane] = weight * (g - stats[from + 2]) * p.scale;
  places[lane] = at;
}

// Computes the gradients of position j. All invocations must call this function, in uniform control
// flow.
void compute(const SegmentWords segment, const uint j) {
  const uint lane = gl_LocalInvocationID.x;
  const uint group = p.n_heads / p.n_kv_heads;
  const uint first_head = gl_WorkGroupID.y * group;
  const uint place = head_place(segment, j, first_head);
  barrier();  // the previous position is finished
  for (uint c = lane; c < kHeadDim; c += gl_WorkGroupSize.x) {
    const uint at = place + c;
    key[c] = word_at(keys[kHalf ? at >> 1 : at], at);
    value[c] = word_at(values[kHalf ? at >> 1 : at], at);
    g_key[c] = 0.0;
    g_value[c] = 0.0;
  }
  barrier();
  // The rows that attend to j.
  const uint begin = j > segment.position ? j - segment.position : 0;
  uint end = segment.n_rows;
  if (p.window - 1 < segment.position + end - 1 - j) end = j + p.window - segment.position;
  const uint n_pairs = (end - begin) * group;
  for (uint block = 0; block < n_pairs; block += gl_WorkGroupSize.x) {
    const uint n = min(gl_WorkGroupSize.x, n_pairs - block);
    if (lane < n)
      weigh(lane, segment.first_row + begin + (block + lane) / group,
            first_head + (block + lane) % group);
    barrier();
    for (uint c = lane; c < kHeadDim; c += gl_WorkGroupSize.x) {
      float k_sum = g_key[c];
      float v_sum = g_value[c];
      for (uint i = 0; i < n; ++i) {
        k_sum += score_factors[i] * q[places[i] + c];
        v_sum += weights[i] * g_y[places[i] + c];
      }
      g_key[c] = k_sum;
      g_value[c] = v_sum;
    }
    barrier();
  }
  const bool adds =
      segment.keeps_state != 0 && j >= first_key(segment.position + segment.n_rows);
  for (uint c = lane; c < kHeadDim; c += gl_WorkGroupSize.x) {
    g_keys[place + c] = adds ? g_keys[place + c] + g_key[c] : g_key[c];
    g_values[place + c] = adds ? g_values[place + c] + g_value[c] : g_value[c];
  }
}

void main() {
  const SegmentWords segment = step_.segments[gl_WorkGroupID.z];
  const uint first = first_key(segment.position);
  const uint n_keys = segment.position + segment.n_rows - first;
  for (uint i = gl_WorkGroupID.x; i < n_keys; i += gl_NumWorkGroups.x) compute(segment, first + i);
}
