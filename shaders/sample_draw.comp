// Chooses the token of each segment. Computes the weights of all tokens, filters the tokens and draws
// one of them, in integer arithmetic and without sorting.
//   weights[g, i] = floor(exp(l[i] - max l) * 2^30 + 1/2), where l are the scaled logits
//   top-k keeps keys >= the k-th largest key
//   top-p keeps weights >= the weight of the token at which the running sum, by descending weight,
//     first exceeds top_p * total
//   min-p keeps weights >= min_p * largest
//   token = the first kept token, by ascending id, whose running sum exceeds
//     floor(r * total / 2^64), r = Philox(seed, position)
// Without DRAW, or with temperature 0, the token is the token with the largest logit. If there is a
// NaN, or the largest logit is not finite, the token is BX_TOKEN_NOT_FINITE. A segment that samples
// nothing gets BX_TOKEN_NOT_SAMPLED, and its next_token does not change.
//
// Bindings: step; best [G, n_parts] and keys [G, V], of sample_scale; weights [G, V]; next_token
//   (state); tokens [G]; counters [G]
// A workgroup computes the weights of a part of one segment's vocabulary, and the last one draws the
// token. Without a draw, the first workgroup does all. Grid: x over parts, y over segments. Requires
// whole subgroups.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/step.glsl"
#include "params/sample.h"

layout(local_size_x_id = BX_SAMPLE_GROUP_SIZE) in;
layout(constant_id = BX_SAMPLE_DRAW) const bool kDraw = false;

layout(set = 0, binding = 1, scalar) readonly buffer Best { uvec2 best[]; };
layout(set = 0, binding = 2, scalar) readonly buffer Keys { uint keys[]; };
layout(set = 0, binding = 3, scalar) coherent buffer Weights { uint weights[]; };
layout(set = 0, binding = 4, scalar) restrict buffer NextToken { int next_token[]; };
layout(set = 0, binding = 5, scalar) restrict buffer Tokens { int tokens[]; };
layout(set = 0, binding = 6, scalar) coherent buffer Counters { uint counters[]; };
layout(push_constant, scalar) uniform Push { SamplePush p; };

#include "lib/last_group.glsl"
#include "lib/philox.glsl"
#include "lib/sample_best.glsl"
#include "lib/token_weight.glsl"

const uint kBins = 256;   // bins of a histogram: one for each value of one byte of the keys
const uint kCopies = 4;   // copies of each bin, because most keys have the same first byte
const uint kBlocks = 16;  // blocks of consecutive bins, for a faster search
const uint kPerBlock = kBins / kBlocks;

shared uint bin_low[kBins * kCopies];
shared uint bin_high[kBins * kCopies];
shared uvec2 block_sum[kBlocks];
shared uvec2 part_sum[BX_SAMPLE_MAX_SUBGROUPS];
shared uvec2 total;
shared uint found;
shared uvec2 rest;

// `row` is the first index of this segment in keys[] and weights[]. A token whose key is below
// least_key or whose weight is below least_weight is dropped.
uint row;
uint least_key = 0;
uint least_weight = 0;

uint survivor_weight(const uint i) {
  const uint weight = weights[row + i];
  return weight >= least_weight && keys[row + i] >= least_key ? weight : 0;
}

uvec2 bin_sum(const uint bin) { return uvec2(bin_low[bin * kCopies], bin_high[bin * kCopies]); }

void add_to_bin(const uint bin, const uint mass) {
  const uint at = bin * kCopies + gl_LocalInvocationIndex % kCopies;
  const uint before = atomicAdd(bin_low[at], mass);
  if (before + mass < before) atomicAdd(bin_high[at], 1);
}

// Clears the histogram. Then adds all tokens whose key equals `prefix` in the bits above the byte
// at `shift`. If `by_weight`, a token's weight serves as its key and as its mass. Otherwise the key
// is the token's key in keys[], and the mass is 1.
void fill_bins(const bool by_weight, const uint prefix, const uint shift) {
  for (uint i = gl_LocalInvocationIndex; i < kBins * kCopies; i += gl_WorkGroupSize.x) {
    bin_low[i] = 0;
    bin_high[i] = 0;
  }
  barrier();
  for (uint i = gl_LocalInvocationIndex; i < p.vocab_size; i += gl_WorkGroupSize.x) {
    const uint key = by_weight ? survivor_weight(i) : keys[row + i];
    const uint mass = by_weight ? key : 1;
    if (((key ^ prefix) >> shift >> 8) == 0 && mass != 0) add_to_bin(key >> shift & 255u, mass);
  }
  barrier();
}

// Adds up the copies of each bin; the sum replaces the first copy. Then adds up the bins of each
// block.
void sum_bins() {
  for (uint bin = gl_LocalInvocationIndex; bin < kBins; bin += gl_WorkGroupSize.x) {
    uvec2 sum = uvec2(0);
    for (uint at = bin * kCopies; at < (bin + 1) * kCopies; ++at)
      sum = u64_add(sum, uvec2(bin_low[at], bin_high[at]));
    bin_low[bin * kCopies] = sum.x;
    bin_high[bin * kCopies] = sum.y;
  }
  barrier();
  for (uint block = gl_LocalInvocationIndex; block < kBlocks; block += gl_WorkGroupSize.x) {
    uvec2 sum = uvec2(0);
    for (uint i = 0; i < kPerBlock; ++i) sum = u64_add(sum, bin_sum(block * kPerBlock + i));
    block_sum[block] = sum;
  }
  barrier();
}

// Adds up the bins by descending key until the running sum exceeds `limit`, and stops at bin 0 at
// the latest. Stores the last bin in `found`. Stores `limit` minus the sum of the earlier bins in
// `rest`.
void search_bins(uvec2 limit) {
  uint block = kBlocks - 1;
  for (; block > 0 && !u64_less(limit, block_sum[block]); --block)
    limit = u64_sub(limit, block_sum[block]);
  uint bin = block * kPerBlock + kPerBlock - 1;
  for (; bin > block * kPerBlock && !u64_less(limit, bin_sum(bin)); --bin)
    limit = u64_sub(limit, bin_sum(bin));
  found = bin;
  rest = limit;
}

// The key at which the running mass, by descending key, first exceeds `limit`; 0 if it never does.
// The mass of a token is its weight, or 1. Finds one byte of the key at a time, the highest first.
uint key_at_limit(const bool by_weight, uvec2 limit) {
  uint prefix = 0;
  for (uint digit = 0; digit < 4; ++digit) {
    const uint shift = 24 - 8 * digit;
    fill_bins(by_weight, prefix, shift);
    sum_bins();
    if (gl_LocalInvocationIndex == 0) search_bins(limit);
    barrier();
    prefix |= found << shift;
    limit = rest;
  }
  return prefix;
}

uvec2 sum_of_lanes(const uvec2 sum) {
  const uint upper = subgroupAdd(sum.x >> 16);
  return u64_add(uvec2(subgroupAdd(sum.x & 0xffffu), subgroupAdd(sum.y)),
                 uvec2(upper << 16, upper >> 16));
}

// Splits the tokens [first, end) into pieces of `piece` tokens, one piece per subgroup. Stores the
// sum of the kept weights of each piece in part_sum[], and the sum over all pieces in `total`.
void sum_parts(const uint first, const uint end, const uint piece) {
  const uint from = first + gl_SubgroupID * piece;
  uvec2 sum = uvec2(0);
  for (uint i = from + gl_SubgroupInvocationID; i < min(from + piece, end); i += gl_SubgroupSize)
    sum = u64_add(sum, uvec2(survivor_weight(i), 0));
  sum = sum_of_lanes(sum);
  if (subgroupElect()) part_sum[gl_SubgroupID] = sum;
  barrier();
  if (gl_SubgroupID == 0) {
    sum = uvec2(0);
    for (uint s = gl_SubgroupInvocationID; s < gl_NumSubgroups; s += gl_SubgroupSize)
      sum = u64_add(sum, part_sum[s]);
    sum = sum_of_lanes(sum);
    if (subgroupElect()) total = sum;
  }
  barrier();
}

uint pieces_of(const uint n) { return (n + gl_NumSubgroups - 1) / gl_NumSubgroups; }
void sum_all() { sum_parts(0, p.vocab_size, pieces_of(p.vocab_size)); }

// Adds up the sums of the pieces until the running sum exceeds `target`. Stores the last piece in
// `found`. Stores `target` minus the sums of the earlier pieces in `rest`.
void search_parts(uvec2 target) {
  uint s = 0;
  for (; s + 1 < gl_NumSubgroups && !u64_less(target, part_sum[s]); ++s)
    target = u64_sub(target, part_sum[s]);
  found = s;
  rest = target;
}

// The first token, by ascending id, at which the running sum of the kept weights exceeds `target`.
// `target` must be below the total. On entry, part_sum[] must hold the sums of the pieces of the
// whole vocabulary.
uint token_at(uvec2 target) {
  uint first = 0;
  uint end = p.vocab_size;
  uint piece = pieces_of(end);
  for (;;) {
    if (gl_LocalInvocationIndex == 0) search_parts(target);
    barrier();
    first += found * piece;
    end = min(first + piece, end);
    target = rest;
    if (end - first <= gl_SubgroupSize || gl_NumSubgroups == 1) break;
    piece = max(pieces_of(end - first), gl_SubgroupSize);
    sum_parts(first, end, piece);
  }
  for (; first + 1 < end; ++first) {
    const uvec2 weight = uvec2(survivor_weight(first), 0);
    if (u64_less(target, weight)) break;
    target = u64_sub(target, weight);
  }
  return first;
}

// floor(whole * fraction / 2^32), fraction <= 2^32.
uvec2 fraction_of(const uvec2 whole, const uvec2 fraction) {
  if (fraction.y != 0) return whole;
  return u64_add(u64_product(whole.y, fraction.x), uvec2(u64_product(whole.x, fraction.x).y, 0));
}

uint draw(const uint g) {
  const SamplerWords sampling = step_.segments[g].sampling;
  const uint k = sampling.top_k;
  if (k != 0 && k < p.vocab_size) least_key = key_at_limit(false, uvec2(k - 1, 0));
  // The largest weight is 2^30, so min-p keeps weights with
  // (min_p * 2^32) * 2^30 <= weight * 2^32.
  const uvec2 least = u64_shift_right(u64_add(sampling.min_p_q32, uvec2(3, 0)), 2);
  if (sampling.use_top_p != 0) {
    sum_all();
    least_weight = key_at_limit(true, fraction_of(total, sampling.top_p_q32));
  }
  least_weight = max(least_weight, least.x);
  sum_all();
  const uvec2 position = u64_add(uvec2(step_.segments[g].position, 0),
                                 uvec2(step_.segments[g].n_rows, 0));
  return token_at(u64_mul_high(philox4x32(position, sampling.seed), total));
}

// Computes the weights of the part of this workgroup, before any filter.
void write_weights(const uint largest_key) {
  const uint first = gl_WorkGroupID.x * gl_WorkGroupSize.x * BX_SAMPLE_PER_LANE;
  for (uint j = 0; j < BX_SAMPLE_PER_LANE; ++j) {
    const uint i = first + j * gl_WorkGroupSize.x + gl_LocalInvocationIndex;
    if (i >= p.vocab_size) break;
    weights[row + i] = token_weight(of_order_key(keys[row + i]), of_order_key(largest_key));
  }
}

void main() {
  const uint g = gl_WorkGroupID.y;
  const bool is_first = gl_WorkGroupID.x == 0;
  if (step_.segments[g].sampled_output == BX_SAMPLES_NOTHING) {
    if (is_first && gl_LocalInvocationIndex == 0) tokens[g] = BX_TOKEN_NOT_SAMPLED;
    return;
  }
  row = g * p.vocab_size;
  const uvec2 top = best_of_segment(g);
  const uint temperature = floatBitsToUint(step_.segments[g].sampling.temperature);
  int token = key_is_finite(top.x) ? int(top.y) : BX_TOKEN_NOT_FINITE;
  // With a tiny temperature the largest scaled logit overflows. Then the best token is taken
  // without a draw, as with temperature 0. All workgroups of a segment decide alike.
  if (kDraw && token >= 0 && !float_is_zero(temperature) && key_is_finite(keys[row + top.y])) {
    write_weights(keys[row + top.y]);
    if (!is_last_group(g, gl_NumWorkGroups.x)) return;
    token = int(draw(g));
  } else if (!is_first) {
    return;
  }
  if (gl_LocalInvocationIndex == 0) {
    tokens[g] = token;
    next_token[step_.segments[g].slot * p.next_token_slot +
               step_.segments[g].write_version * p.next_token_version] = token;
  }
}
