// y[i, head] = sum_j softmax_j(q[i] . k[j] * scale) * v[j], over the keys j that row i attends to
// The products are computed on matrix units: their factors are rounded to float16, sums are float32.
//
// Bindings: step; q [R, Hq * d]; keys, values in pages, as float16; y [R, Hq * d]
// A workgroup computes a block of QUERIES queries, for kShared heads of queries with the same keys. A
// query is one head of one row of q; the queries of a row follow each other. The block may have rows
// of several segments. For each segment, the workgroup takes all keys that its rows attend to, one
// tile of keys after the other:
//   scores = q k^T on matrix units, into shared memory;
//   weights = exp(scores - largest score so far), 0 for keys that a row does not attend to;
//   sums = sums * exp(old largest - new largest) + weights v on matrix units.
// Weight 0 does not remove a value that is NaN or infinite. So if a result is NaN, the block is
// computed again without matrix units.
// Grid: x over groups of kShared heads, y over blocks of rows. Requires workgroups of exactly
// SUBGROUPS full subgroups, and a head_dim that is a multiple of 16.
// Source: Milakov & Gimelshein 2018, "Online normalizer calculation for softmax"; Dao et al. 2022,
// "FlashAttention".
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#pragma use_vulkan_memory_model
#include "lib/attention.glsl"
#include "lib/lanes_sum.glsl"
#include "params/attention_matrix.h"

layout(local_size_x_id = BX_ATTENTION_MATRIX_GROUP_SIZE) in;
layout(constant_id = BX_ATTENTION_MATRIX_M) const uint kM = 16;
layout(constant_id = BX_ATTENTION_MATRIX_N) const uint kN = 16;
layout(constant_id = BX_ATTENTION_MATRIX_K) const uint kK = 16;
layout(constant_id = BX_ATTENTION_MATRIX_QUERIES) const uint kQueries = 64;
layout(constant_id = BX_ATTENTION_MATRIX_SUBGROUPS) const uint kSubgroups = 4;
layout(constant_id = BX_ATTENTION_MATRIX_ACROSS) const uint kAcross = 2;
layout(constant_id = BX_ATTENTION_MATRIX_HEAD_DIM) const uint kDim = 64;
layout(constant_id = BX_ATTENTION_MATRIX_SHARED) const uint kShared = 1;

layout(set = 0, binding = 1, scalar) readonly buffer Q { float q_rows[]; };
layout(set = 0, binding = 2, scalar) readonly buffer Keys { uvec4 keys[]; };
layout(set = 0, binding = 3, scalar) readonly buffer Values { uvec4 values[]; };
layout(set = 0, binding = 4, scalar) workgroupcoherent buffer Y { float y[]; };

const uint kKeys = BX_ATTENTION_MATRIX_KEYS;
// Fragments of a subgroup, below each other and side by side.
const uint kTall = kQueries / (kM * (kSubgroups / kAcross));
// A tile may have fewer fragments of keys than there are subgroups side by side.
const uint kAcrossScores = kAcross < kKeys / kN ? kAcross : kKeys / kN;
const uint kWideScores = kKeys / (kN * kAcrossScores);
const uint kWideSums = kDim / (kN * kAcross);

// Rows of shared memory, in units of uvec4. One unused uvec4 at the end of each puts consecutive rows
// on different banks.
const uint kHeadStride = kDim / 8 + 1;    // a head of a query or of a key, as halves
const uint kValueStride = kKeys / 8 + 1;  // one element of the values of all keys, as halves
const uint kScoreStride = kKeys / 4 + 1;  // the scores of a query as floats, or its weights as halves
const uint kFactors = kQueries * kN / 4;
shared uvec4 q_tile[kQueries * kHeadStride];
shared uvec4 value_tile[kDim * kValueStride];
shared uvec4 score_tile[kQueries * kScoreStride];
// The keys of a tile, and after the scores the factors of all queries: kN times each.
shared uvec4 key_tile[kKeys * kHeadStride > kFactors ? kKeys * kHeadStride : kFactors];
shared float totals[kQueries];
shared uint flags[4];
const uint kIsBroken = 0;  // whether a result is NaN

#define SUM coopmat<float, gl_ScopeSubgroup, kM, kN, gl_MatrixUseAccumulator>
#define FACTOR_A coopmat<float16_t, gl_ScopeSubgroup, kM, kK, gl_MatrixUseA>
#define FACTOR_B coopmat<float16_t, gl_ScopeSubgroup, kK, kN, gl_MatrixUseB>
SUM sums[kTall * kWideSums];

// Adjacent invocations share a query in the softmax. Each has some of its scores.
const uint kRowLanes = gl_WorkGroupSize.x / kQueries;
const uint kEach = kKeys / kRowLanes;
uint softmax_query() { return gl_LocalInvocationID.x / kRowLanes; }
float largest = kLowest;
float total = 0.0;
uint first_seen;  // as in attention_rows.comp
uint n_seen;

uint first_row() { return gl_WorkGroupID.y * (kQueries / kShared); }
uint row_of(const uint query) { return first_row() + query / kShared; }
uint head_of(const uint query) { return gl_WorkGroupID.x * kShared + query % kShared; }
uint kv_head() { return gl_WorkGroupID.x * kShared / (p.n_heads / p.n_kv_heads); }
uint q_element(const uint query) { return (row_of(query) * p.n_heads + head_of(query)) * kDim; }
// The first quad of the head of keys or values of a position.
uint kv_quad(const SegmentWords segment, const uint position) {
  return (page_row(segment, p.page_group, position) * p.n_kv_heads + kv_head()) * (kDim / 8);
}

float lanes_max(float x) {
#define STEP(distance) \
  if (distance < kRowLanes) x = max(x, subgroupShuffleXor(x, distance));
  BX_EACH_DISTANCE(STEP)
#undef STEP
  return x;
}
// softmax_exp2() without branches.
float weight_of(const float x) {
  const float weight = exp2(x);
  return is_nan(x) ? x : x < -150.0 ? 0.0 : weight;
}

void load_queries() {
  for (uint i = gl_LocalInvocationID.x; i < kQueries * (kDim / 2); i += gl_WorkGroupSize.x) {
    const uint query = i / (kDim / 2);
    const uint pair = i % (kDim / 2);
    vec2 both = vec2(0.0);
    if (row_of(query) < step_.n_rows) {
      const uint at = q_element(query) + 2 * pair;
      both = vec2(q_rows[at], q_rows[at + 1]) * (p.scale * kLog2E);
    }
    q_tile[query * kHeadStride + pair / 4][pair % 4] = packHalf2x16(both);
  }
}

// Loads n keys and values from position `first` on. Missing ones repeat the last one, and no row
// attends to them. The values are transposed, so that matrix units find the values of adjacent keys
// next to each other.
void load_tile(const SegmentWords segment, const uint first, const uint n) {
  [[unroll]] for (uint i = gl_LocalInvocationID.x; i < kKeys * (kDim / 8); i += gl_WorkGroupSize.x) {
    const uint key = i / (kDim / 8);
    const uint eight = i % (kDim / 8);
    key_tile[key * kHeadStride + eight] = keys[kv_quad(segment, first + min(key, n - 1)) + eight];
  }
  [[unroll]] for (uint i = gl_LocalInvocationID.x; i < kKeys / 2 * (kDim / 8);
                  i += gl_WorkGroupSize.x) {
    const uint pair = i % (kKeys / 2);
    const uint eight = i / (kKeys / 2);
    const uvec4 even = values[kv_quad(segment, first + min(2 * pair, n - 1)) + eight];
    const uvec4 odd = values[kv_quad(segment, first + min(2 * pair + 1, n - 1)) + eight];
    [[unroll]] for (uint e = 0; e < 4; ++e) {
      const uint at = (8 * eight + 2 * e) * kValueStride + pair / 4;
      value_tile[at][pair % 4] = (even[e] & 0xffffu) | odd[e] << 16;
      value_tile[at + kValueStride][pair % 4] = even[e] >> 16 | (odd[e] & 0xffff0000u);
    }
  }
}

uint first_query() { return gl_SubgroupID / kAcross * (kTall * kM); }
uint across() { return gl_SubgroupID % kAcross; }

void score_tile_of_keys() {
  if (across() >= kAcrossScores) return;  // uniform in the subgroup
  SUM scores[kTall * kWideScores];
  [[unroll]] for (uint i = 0; i < kTall * kWideScores; ++i) scores[i] = SUM(0.0);
  [[unroll]] for (uint k = 0; k < kDim; k += kK) {
    FACTOR_A a[kTall];
    [[unroll]] for (uint i = 0; i < kTall; ++i)
      coopMatLoad(a[i], q_tile, (first_query() + i * kM) * kHeadStride + k / 8, kHeadStride,
                  gl_CooperativeMatrixLayoutRowMajor);
    [[unroll]] for (uint j = 0; j < kWideScores; ++j) {
      FACTOR_B b;  // a row of the tile is a column of b
      coopMatLoad(b, key_tile, (across() * kWideScores + j) * kN * kHeadStride + k / 8, kHeadStride,
                  gl_CooperativeMatrixLayoutColumnMajor);
      [[unroll]] for (uint i = 0; i < kTall; ++i)
        scores[i * kWideScores + j] = coopMatMulAdd(a[i], b, scores[i * kWideScores + j]);
    }
  }
  [[unroll]] for (uint i = 0; i < kTall; ++i)
    [[unroll]] for (uint j = 0; j < kWideScores; ++j)
      coopMatStore(scores[i * kWideScores + j], score_tile,
                   (first_query() + i * kM) * kScoreStride +
                       (across() * kWideScores + j) * (kN / 4),
                   kScoreStride, gl_CooperativeMatrixLayoutRowMajor);
}

// Replaces the scores of the tile by weights. `tile` is the number of its first key as in first_seen.
void weigh(const uint tile) {
  const uint query = softmax_query();
  const uint part = gl_LocalInvocationID.x % kRowLanes;
  // The score of a key to which the row does not attend: its weight is 0.
  const float unseen = uintBitsToFloat(0xff800000u);  // -infinity
  float score[kEach];
  float highest = largest;
  [[unroll]] for (uint i = 0; i < kEach; i += 4) {
    const uint key = part * kEach + i;
    const vec4 four = uintBitsToFloat(score_tile[query * kScoreStride + key / 4]);
    [[unroll]] for (uint j = 0; j < 4; ++j) {
      score[i + j] = tile + key + j - first_seen < n_seen ? four[j] : unseen;
      highest = max(highest, score[i + j]);
    }
  }
  highest = lanes_max(highest);
  const float factor = weight_of(largest - highest);
  largest = highest;
  float added = 0.0;
  [[unroll]] for (uint i = 0; i < kEach; ++i) {
    score[i] = weight_of(score[i] - highest);
    added += score[i];
  }
  total = total * factor + lanes_sum(added, 1, kRowLanes);
  // The weights are written where other invocations of the query have read scores.
  controlBarrier(gl_ScopeSubgroup, gl_ScopeSubgroup, gl_StorageSemanticsShared,
                 gl_SemanticsAcquireRelease);
  [[unroll]] for (uint i = 0; i < kEach; i += 4) {
    const uint word = (part * kEach + i) / 2;
    const uvec2 four = uvec2(packHalf2x16(vec2(score[i], score[i + 1])),
                             packHalf2x16(vec2(score[i + 2], score[i + 3])));
    if (word % 4 == 0)
      score_tile[query * kScoreStride + word / 4].xy = four;
    else
      score_tile[query * kScoreStride + word / 4].zw = four;
  }
  [[unroll]] for (uint i = part; i < kN / 4; i += kRowLanes)
    key_tile[query * (kN / 4) + i] = floatBitsToUint(vec4(factor));
}

// Each sum changes in one place of the loop over tiles. Otherwise Intel's compiler keeps several
// registers for it.
void add_values() {
  [[unroll]] for (uint i = 0; i < kTall; ++i) {
    SUM factor;
    coopMatLoad(factor, key_tile, (first_query() + i * kM) * (kN / 4), kN / 4,
                gl_CooperativeMatrixLayoutRowMajor);
    FACTOR_A a[kKeys / kK];
    [[unroll]] for (uint k = 0; k < kKeys / kK; ++k)
      coopMatLoad(a[k], score_tile, (first_query() + i * kM) * kScoreStride + k * kK / 8,
                  kScoreStride, gl_CooperativeMatrixLayoutRowMajor);
    [[unroll]] for (uint j = 0; j < kWideSums; ++j) {
      SUM sum = sums[i * kWideSums + j];
      [[unroll]] for (uint e = 0; e < factor.length(); ++e) sum[e] *= factor[e];
      [[unroll]] for (uint k = 0; k < kKeys / kK; ++k) {
        FACTOR_B b;
        coopMatLoad(b, value_tile, (across() * kWideSums + j) * kN * kValueStride + k * kK / 8,
                    kValueStride, gl_CooperativeMatrixLayoutColumnMajor);
        sum = coopMatMulAdd(a[k], b, sum);
      }
      sums[i * kWideSums + j] = sum;
    }
  }
}

// Processes rows first..last of the segment, which are all in the block.
void attend(const SegmentWords segment, const uint first, const uint last) {
  const KeySpan oldest = keys_at(segment.position + (first - segment.first_row));
  const KeySpan newest = keys_at(segment.position + (last - segment.first_row));
  const uint row = row_of(softmax_query());
  const KeySpan span = keys_at(segment.position + (row - segment.first_row));
  first_seen = span.first - oldest.first;
  n_seen = row >= first && row <= last ? span.n : 0;
  const uint n = newest.first - oldest.first + newest.n;
  for (uint tile = 0; tile < n; tile += kKeys) {
    barrier();  // the factors and the values of the previous tile have been read
    load_tile(segment, oldest.first + tile, min(kKeys, n - tile));
    barrier();
    score_tile_of_keys();
    barrier();
    weigh(tile);
    barrier();
    add_values();
  }
}

// Writes the results. Returns whether one of them is NaN.
bool end_block() {
  const uint lanes = gl_WorkGroupSize.x / kSubgroups;
  const uint place = gl_SubgroupID * (kM * kN / 4);
  bool is_broken = false;
  if (gl_LocalInvocationID.x % kRowLanes == 0) totals[softmax_query()] = total;
  barrier();  // the queries have been read, too
  [[unroll]] for (uint i = 0; i < kTall; ++i)
    [[unroll]] for (uint j = 0; j < kWideSums; ++j) {
      controlBarrier(gl_ScopeSubgroup, gl_ScopeSubgroup, gl_StorageSemanticsShared,
                     gl_SemanticsAcquireRelease);
      coopMatStore(sums[i * kWideSums + j], q_tile, place, kN / 4,
                   gl_CooperativeMatrixLayoutRowMajor);
      controlBarrier(gl_ScopeSubgroup, gl_ScopeSubgroup, gl_StorageSemanticsShared,
                     gl_SemanticsAcquireRelease);
      [[unroll]] for (uint e = 0; e < kM * kN / lanes; ++e) {
        const uint at = gl_SubgroupInvocationID + e * lanes;
        const uint query = first_query() + i * kM + at / kN;
        const float value =
            uintBitsToFloat(q_tile[place + at / 4][at % 4]) / totals[query];
        if (row_of(query) < step_.n_rows) {
          y[q_element(query) + (across() * kWideSums + j) * kN + at % kN] = value;
          is_broken = is_broken || is_nan(value);
        }
      }
    }
  return is_broken;
}

float half_at(const uvec4 quad, const uint e) { return unpackHalf2x16(quad[e / 2])[e % 2]; }

// Computes one query with keys [first, first + n) of its segment, without matrix units. The sums are
// in y.
void attend_slowly(const SegmentWords segment, const uint query) {
  const uint at = q_element(query);
  const KeySpan span = keys_at(segment.position + (row_of(query) - segment.first_row));
  float highest = kLowest;
  float all = 0.0;
  for (uint e = 0; e < kDim; ++e) y[at + e] = 0.0;
  for (uint key = span.first; key < span.first + span.n; ++key) {
    const uint quad = kv_quad(segment, key);
    float score = 0.0;
    for (uint e = 0; e < kDim; ++e)
      score += q_rows[at + e] * (p.scale * kLog2E) * half_at(keys[quad + e / 8], e % 8);
    float factor = 1.0;
    if (score > highest) {
      factor = softmax_exp2(highest - score);
      highest = score;
    }
    const float weight = softmax_exp2(score - highest);
    all = all * factor + weight;
    for (uint e = 0; e < kDim; ++e)
      y[at + e] = y[at + e] * factor + weight * half_at(values[quad + e / 8], e % 8);
  }
  for (uint e = 0; e < kDim; ++e) y[at + e] /= all;
}

void main() {
  const uint first = first_row();
  const uint last = min(first + kQueries / kShared, step_.n_rows) - 1;
  [[unroll]] for (uint i = 0; i < kTall * kWideSums; ++i)
    sums[i] = coopMatMulAdd(FACTOR_A(0.0), FACTOR_B(0.0), SUM(0.0));  // see lib/matrix_tile.glsl
  load_queries();
  // Not in the condition of the loop: the instrumentation of GPU-assisted validation splits the block
  // that reads a buffer, and the first block of a loop must not be split.
  const uint n_segments = step_.n_segments;
  for (uint g = 0; g < n_segments; ++g) {
    const SegmentWords segment = step_.segments[g];
    const uint begin = max(first, segment.first_row);
    const uint end = min(last + 1, segment.first_row + segment.n_rows);
    if (begin < end) attend(segment, begin, end - 1);
  }
  if (gl_LocalInvocationID.x == 0) flags[kIsBroken] = 0;
  const bool is_broken = end_block();  // with a barrier at its beginning
  if (is_broken) flags[kIsBroken] = 1;
  // Other invocations may write elements of y again.
  controlBarrier(gl_ScopeWorkgroup, gl_ScopeWorkgroup,
                 gl_StorageSemanticsBuffer | gl_StorageSemanticsShared, gl_SemanticsAcquireRelease);
  if (flags[kIsBroken] == 0) return;  // uniform in the workgroup
  for (uint query = gl_LocalInvocationID.x; query < kQueries; query += gl_WorkGroupSize.x)
    if (row_of(query) <= last)
      attend_slowly(step_.segments[segment_of(row_of(query))], query);
}
