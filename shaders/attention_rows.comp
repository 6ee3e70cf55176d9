// y[i, head] = sum_j softmax_j(q[i] . k[j] * scale) * v[j], over the keys j that row i attends to
//
// Bindings: step; q [R, Hq * d]; keys, values in pages, as words and as pairs; y [R, Hq * d]
// A workgroup computes a block of rows, for kShared heads of queries with the same keys. A query is
// one head of one row of q; the queries of a row follow each other. Each group of kLanes lanes
// holds kQueries queries. The block may have rows of several segments. For each segment, the
// workgroup loads all keys that its rows attend to into shared memory, one tile of keys after the
// other. The softmax is computed online and for several keys at a time: when a larger score appears,
// the sums so far are rescaled.
// Grid: x over groups of kShared heads, y over blocks of rows. Requires whole subgroups of at least kLanes.
// Source: Milakov & Gimelshein 2018, "Online normalizer calculation for softmax"; Dao et al. 2022,
// "FlashAttention".
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "lib/attention_lanes.glsl"
#include "params/attention_rows.h"

layout(constant_id = BX_ATTENTION_ROWS_QUERIES) const uint kQueries = 1;
layout(constant_id = BX_ATTENTION_ROWS_TILE_KEYS) const uint kTileKeys = 8;
// The keys that are added in one step of the softmax.
const uint kMostStep = kQueries * kUnits <= 8 ? 8 : 4;
const uint kStep = kTileKeys < kMostStep ? kTileKeys : kMostStep;

layout(set = 0, binding = 6, scalar) writeonly buffer Y { float y[]; };

const uint kStride = kLanes * kUnits;
shared vec4 tile_keys[kTileKeys * kStride];
shared vec4 tile_values[kTileKeys * kStride];

vec4 q[kQueries * kUnits];
vec4 sums[kQueries * kUnits];
float largest[kQueries];
float total[kQueries];
// The first key and the number of keys that each query attends to. Key 0 is the first key that any
// row of the segment in this block attends to.
uint first_seen[kQueries];
uint n_seen[kQueries];

uint lane() { return gl_SubgroupInvocationID % kLanes; }
// The row and the head of query j of this group of lanes.
uint query_of(const uint j) {
  const uint query = gl_SubgroupID * (gl_SubgroupSize / kLanes) + gl_SubgroupInvocationID / kLanes;
  return query * kQueries + j;
}
uint block_rows() { return gl_WorkGroupSize.x / kLanes * kQueries / kShared; }
uint row_of(const uint j) { return gl_WorkGroupID.y * block_rows() + query_of(j) / kShared; }
uint head_of(const uint j) { return first_head(gl_WorkGroupID.x) + query_of(j) % kShared; }

void begin_rows() {
  for (uint j = 0; j < kQueries; ++j) {
    largest[j] = kLowest;
    total[j] = 0.0;
    for (uint c = 0; c < kUnits; ++c) {
      sums[j * kUnits + c] = q[j * kUnits + c] = vec4(0.0);
      if (row_of(j) < step_.n_rows)
        q[j * kUnits + c] =
            query_unit(row_of(j), head_of(j), lane() + c * kLanes) * kLog2E;
    }
  }
}

// Loads n keys and values from position `first` on.
void load_tile(const SegmentWords segment, const uint head, const uint first, const uint n) {
  for (uint i = gl_LocalInvocationIndex; i < n * kStride; i += gl_WorkGroupSize.x) {
    const uint u = i % kStride;
    vec4 k = vec4(0.0);
    vec4 v = vec4(0.0);
    if (u < head_units()) {
      const uint at = kv_element(segment, first + i / kStride, head) + 4 * u;
      k = key_unit(at, p.head_dim - 4 * u);
      v = value_unit(at, p.head_dim - 4 * u);
    }
    tile_keys[i] = k;
    tile_values[i] = v;
  }
}

// Adds kStep keys to the sums of the queries that attend to them. `key` is the index of the first
// one in the tile, which has n keys, and `index` is its number as in first_seen. `all_see` says that
// the tile has all of these keys and all queries attend to them. A query that does not attend to a
// key must skip it: weight 0 is not enough, because the key may be NaN.
void absorb(const uint key, const uint n, const uint index, const bool all_see) {
  float score[kQueries * kStep];
  [[unroll]] for (uint i = 0; i < kQueries * kStep; ++i) score[i] = 0.0;
  [[unroll]] for (uint s = 0; s < kStep; ++s) {
    const uint at = (all_see ? key + s : min(key + s, n - 1)) * kStride + lane();
    [[unroll]] for (uint c = 0; c < kUnits; ++c) {
      const vec4 k = tile_keys[at + c * kLanes];
      [[unroll]] for (uint j = 0; j < kQueries; ++j)
        [[unroll]] for (uint e = 0; e < 4; ++e)
          score[j * kStep + s] = q[j * kUnits + c][e] * k[e] + score[j * kStep + s];
    }
  }
  bool sees[kQueries * kStep];
  [[unroll]] for (uint j = 0; j < kQueries; ++j) {
    float top = largest[j];
    float all = 0.0;
    [[unroll]] for (uint s = 0; s < kStep; ++s) {
      const uint i = j * kStep + s;
      score[i] = lanes_sum(score[i], 1, kLanes);
      sees[i] = all_see || (key + s < n && index + s - first_seen[j] < n_seen[j]);
      if (!sees[i]) score[i] = kLowest;
      all += score[i];
      top = max(top, score[i]);
    }
    if (top > largest[j]) {
      const float factor = exp2_of(largest[j] - top);
      largest[j] = top;
      total[j] *= factor;
      [[unroll]] for (uint c = 0; c < kUnits; ++c) sums[j * kUnits + c] *= factor;
    }
    // max() and exp2() may return a number for NaN.
    if (is_nan(all)) total[j] = all;
    [[unroll]] for (uint s = 0; s < kStep; ++s) {
      const uint i = j * kStep + s;
      score[i] = sees[i] ? exp2_of(score[i] - top) : 0.0;
      total[j] += score[i];
    }
  }
  [[unroll]] for (uint s = 0; s < kStep; ++s) {
    const uint at = (all_see ? key + s : min(key + s, n - 1)) * kStride + lane();
    [[unroll]] for (uint c = 0; c < kUnits; ++c) {
      const vec4 v = tile_values[at + c * kLanes];
      [[unroll]] for (uint j = 0; j < kQueries; ++j)
        if (sees[j * kStep + s])
          sums[j * kUnits + c] = score[j * kStep + s] * v + sums[j * kUnits + c];
    }
  }
}

// Processes rows first..last of the segment, which are all in the block.
void attend(const SegmentWords segment, const uint head, const uint first, const uint last,
            const bool whole_block) {
  const KeySpan oldest = keys_at(segment.position + (first - segment.first_row));
  const KeySpan newest = keys_at(segment.position + (last - segment.first_row));
  for (uint j = 0; j < kQueries; ++j) {
    const uint row = row_of(j);
    const bool is_here = row >= first && row <= last;
    const KeySpan span = keys_at(segment.position + (row - segment.first_row));
    first_seen[j] = span.first - oldest.first;
    n_seen[j] = is_here ? span.n : 0;
  }
  const uint n = newest.first - oldest.first + newest.n;
  // All rows attend to the keys from common_begin up to common_end.
  const uint common_begin = newest.first - oldest.first;
  const uint common_end = oldest.n;
  for (uint tile = 0; tile < n; tile += kTileKeys) {
    const uint n_tile = min(kTileKeys, n - tile);
    barrier();
    load_tile(segment, head, oldest.first + tile, n_tile);
    barrier();
    uint key = 0;
    if (whole_block && tile >= common_begin && tile + n_tile <= common_end)
      for (; key + kStep <= n_tile; key += kStep) absorb(key, n_tile, tile + key, true);
    for (; key < n_tile; key += kStep) absorb(key, n_tile, tile + key, false);
  }
}

void end_rows() {
  for (uint j = 0; j < kQueries; ++j) {
    const uint row = row_of(j);
    for (uint c = 0; c < kUnits; ++c) {
      const uint e = 4 * (lane() + c * kLanes);
      const vec4 unit = sums[j * kUnits + c] / total[j];
      for (uint i = 0; i < 4; ++i)
        if (row < step_.n_rows && e + i < p.head_dim)
          y[(row * p.n_heads + head_of(j)) * p.head_dim + e + i] = unit[i];
    }
  }
}

void main() {
  const uint head = kv_head(first_head(gl_WorkGroupID.x));
  const uint first = gl_WorkGroupID.y * block_rows();
  const uint last = min(first + block_rows(), step_.n_rows) - 1;
  begin_rows();
  // Not in the condition of the loop: the instrumentation of GPU-assisted validation splits the block
  // that reads a buffer, and the first block of a loop must not be split.
  const uint n_segments = step_.n_segments;
  for (uint g = 0; g < n_segments; ++g) {
    const SegmentWords segment = step_.segments[g];
    const uint begin = max(first, segment.first_row);
    const uint end = min(last + 1, segment.first_row + segment.n_rows);
    if (begin < end)
      attend(segment, head, begin, end - 1, begin == first && end == last + 1);
  }
  end_rows();
}
