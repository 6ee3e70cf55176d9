//   l = logits with the repetition penalty, divided by the temperature
//   w_i = floor(exp(l_i - max) * 2^30 + 0.5) for the tokens that top-k keeps
//   top-p and min-p drop tokens by their w; all arithmetic with w is in integers
//   token = the first token whose running sum of w exceeds the high word of r * total
#include "ops/sample.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "cpu/products.h"
#include "cpu/sampling.h"

namespace bitaxon::cpu {
namespace {

struct Scratch {
  float* scaled;          ///< [V] logits after penalty and temperature
  float* sorted;          ///< [V] a copy of `scaled`, partly sorted to find the k-th largest
  std::uint64_t* weight;  ///< [V] weights of tokens; 0 if a filter has dropped the token
  std::int32_t* order;    ///< [V] token ids by descending weight, for top-p

  Scratch(ScratchLayout& layout, const NodeView& node, int /*n_threads*/) {
    const std::int64_t vocab_size = node.shape(sample_operand::logits)[1];
    scaled = layout.take<float>(vocab_size);
    sorted = layout.take<float>(vocab_size);
    weight = layout.take<std::uint64_t>(vocab_size);
    order = layout.take<std::int32_t>(vocab_size);
  }
};

/// Returns the index of the largest logit, and in a tie the lowest index. Returns -1 if a logit is
/// NaN or the largest logit is infinite.
std::int32_t argmax(const float* logits, std::int64_t n) {
  std::int64_t best = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    if (std::isnan(logits[i])) return -1;
    if (logits[i] > logits[best]) best = i;
  }
  return std::isfinite(logits[best]) ? static_cast<std::int32_t>(best) : -1;
}

/// The k-th largest scaled logit. Top-k keeps all tokens whose scaled logit is at least this value,
/// so tokens that tie with the k-th are also kept.
float top_k_threshold(const SamplerWords& sampler, std::int64_t n, const Scratch& scratch) {
  if (sampler.top_k == 0 || sampler.top_k >= n) return -std::numeric_limits<float>::infinity();
  std::copy_n(scratch.scaled, n, scratch.sorted);
  float* kth = scratch.sorted + sampler.top_k - 1;
  std::nth_element(scratch.sorted, kth, scratch.sorted + n, std::greater<>());
  return *kth;
}

std::uint64_t fill_weights(const SamplerWords& sampler, std::int64_t n, float largest,
                           const Scratch& scratch) {
  const float threshold = top_k_threshold(sampler, n, scratch);
  std::uint64_t total = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const float l = scratch.scaled[i];
    scratch.weight[i] = l < threshold ? 0 : token_weight(l, largest);
    total += scratch.weight[i];
  }
  return total;
}

/// Adds up the weights of tokens, in order of descending weight and ascending id, until the sum
/// exceeds top_p times the total. Drops all tokens that weigh less than the token added last.
void apply_top_p(const SamplerWords& sampler, std::int64_t n, std::uint64_t total,
                 const Scratch& scratch) {
  if (sampler.use_top_p == 0) return;
  std::int64_t n_kept = 0;
  for (std::int64_t i = 0; i < n; ++i)
    if (scratch.weight[i] != 0) scratch.order[n_kept++] = static_cast<std::int32_t>(i);
  std::sort(scratch.order, scratch.order + n_kept, [&](std::int32_t a, std::int32_t b) {
    return scratch.weight[a] != scratch.weight[b] ? scratch.weight[a] > scratch.weight[b] : a < b;
  });
  const Wide bound = top_p_bound(sampler, total);
  std::uint64_t sum = 0;
  for (std::int64_t i = 0; i < n_kept; ++i) {
    const std::uint64_t weight = scratch.weight[scratch.order[i]];
    sum += weight;
    if (!exceeds(sum, bound)) continue;
    for (std::int64_t j = 0; j < n; ++j)
      if (scratch.weight[j] < weight) scratch.weight[j] = 0;
    return;
  }
}

void apply_min_p(const SamplerWords& sampler, std::int64_t n, const Scratch& scratch) {
  const std::uint64_t min_p = sampler.min_p_q32.value();
  if (min_p == 0) return;
  const std::uint64_t largest = *std::max_element(scratch.weight, scratch.weight + n);
  for (std::int64_t i = 0; i < n; ++i)
    if (is_below_min_p(scratch.weight[i], min_p, largest)) scratch.weight[i] = 0;
}

std::int32_t draw(const SegmentWords& segment, std::int64_t n, const Scratch& scratch) {
  std::uint64_t total = 0;
  for (std::int64_t i = 0; i < n; ++i) total += scratch.weight[i];
  const std::uint64_t target = drawn_target(segment, total);
  std::uint64_t sum = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    sum += scratch.weight[i];
    if (sum > target) return static_cast<std::int32_t>(i);
  }
  return -1;  // never happens, because target < total
}

std::int32_t sample_one(const SamplerStructure& structure, const SegmentWords& segment,
                        const float* logits, const std::uint32_t* seen, std::int64_t n,
                        const Scratch& scratch) {
  const SamplerWords& sampler = segment.sampling;
  std::copy_n(logits, n, scratch.scaled);
  // NaN and infinity must be detected before the penalty is applied, because the penalty could make
  // an infinite logit finite.
  if (argmax(logits, n) < 0) return -1;
  if (structure.penalty) penalize(sampler, seen, n, scratch.scaled);
  const std::int32_t best = argmax(scratch.scaled, n);
  if (best < 0 || !structure.draw || sampler.temperature == 0) return best;
  for (std::int64_t i = 0; i < n; ++i) scratch.scaled[i] /= sampler.temperature;
  // A tiny temperature can make the largest scaled logit infinite. Then the token with the largest
  // logit is taken, as in the limit of temperature 0.
  if (!std::isfinite(scratch.scaled[best])) return best;
  const std::uint64_t total = fill_weights(sampler, n, scratch.scaled[best], scratch);
  apply_top_p(sampler, n, total, scratch);
  apply_min_p(sampler, n, scratch);
  return draw(segment, n, scratch);
}

void run(const KernelArgs& args, const Scratch& scratch) {
  const std::int64_t vocab_size = args.shape(sample_operand::logits)[1];
  const auto params = args.params<SampleParams>();
  sample_segments(args,
                  [&](const SegmentWords& segment, const float* logits, const std::uint32_t* seen) {
                    return sample_one(params.structure, segment, logits, seen, vocab_size, scratch);
                  });
}

}  // namespace

const CpuKernel sample_kernel = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
