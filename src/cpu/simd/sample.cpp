// Draws the same tokens as the plain kernel, but faster. This kernel scans the whole vocabulary
// only to find the largest logit of every block. The tokens that can be drawn lie in few blocks,
// and only the tokens of these blocks are filtered and weighted.
#include "ops/sample.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <span>

#include "cpu/sampling.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/simd/sample.cpp"
#include "cpu/simd/each_target.h"
// The rest must follow each_target.h.
#include "cpu/simd/kernels.h"
#include "cpu/simd/vector_math-inl.h"

#ifndef BX_BLOCK
#define BX_BLOCK
namespace bitaxon::cpu {
/// The number of logits in a block.
inline constexpr std::int64_t kBlock = 64;
}  // namespace bitaxon::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace bitaxon::cpu {
namespace HWY_NAMESPACE {
namespace {

/// Finds the largest logit of each block. Returns false if there is a NaN.
bool find_maxima(const float* logits, std::int64_t n, float* maxima) {
  const hn::CappedTag<float, 16> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  bool are_numbers = true;
  for (std::int64_t begin = 0; begin < n; begin += kBlock) {
    const std::int64_t end = std::min(begin + kBlock, n);
    auto most = hn::Set(d, logits[begin]);
    auto equal = hn::Eq(most, most);
    std::int64_t i = begin;
    for (; i + lanes <= end; i += lanes) {
      const auto v = hn::LoadU(d, logits + i);
      equal = hn::And(equal, hn::Eq(v, v));  // Eq is false for NaN
      most = hn::Max(most, v);
    }
    are_numbers = are_numbers && hn::AllTrue(d, equal);
    float largest = largest_lane(d, most);
    for (; i < end; ++i) {
      are_numbers = are_numbers && !std::isnan(logits[i]);
      largest = std::max(largest, logits[i]);
    }
    maxima[begin / kBlock] = largest;
  }
  return are_numbers;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace bitaxon::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace bitaxon::cpu {
namespace {

HWY_EXPORT(find_maxima);

std::int64_t blocks_of(std::int64_t n) { return divide_up(n, kBlock); }

struct Kept {
  float logit;
  std::int32_t id;
  std::uint64_t weight;
};

struct Scratch {
  std::int64_t vocab_size;
  float* scaled;           ///< [V] logits after penalty and temperature
  float* maxima;           ///< [blocks] the largest value of each block
  float* selected;         ///< [V] the values to select from
  std::uint64_t* weights;  ///< [V] the weights to select from
  Kept* kept;              ///< [V] tokens that can be drawn, by ascending id

  Scratch(ScratchLayout& layout, const NodeView& node, int /*n_threads*/)
      : vocab_size(node.shape(sample_operand::logits)[1]),
        scaled(layout.take<float>(vocab_size)),
        maxima(layout.take<float>(blocks_of(vocab_size))),
        selected(layout.take<float>(vocab_size)),
        weights(layout.take<std::uint64_t>(vocab_size)),
        kept(layout.take<Kept>(vocab_size)) {}
};

/// Returns the k-th largest of `values`. Changes the order of `values`.
float select(std::span<float> values, std::uint32_t k) {
  const auto kth = values.begin() + (k - 1);
  std::nth_element(values.begin(), kth, values.end(), std::greater<>());
  return *kth;
}

/// Adds up weights, the largest first, and returns the weight at which the sum exceeds the bound.
/// Returns 0 if the sum of all weights does not exceed the bound. Partitions the weights around a
/// pivot, as a selection of the k-th largest does. The weights below the pivot are visited again
/// only if the sum of the others does not exceed the bound.
std::uint64_t weight_at(std::span<std::uint64_t> weights, Wide bound) {
  std::uint64_t above = 0;
  while (!weights.empty()) {
    const std::uint64_t pivot = weights[weights.size() / 2];
    const auto equal = std::partition(weights.begin(), weights.end(),
                                      [&](std::uint64_t weight) { return weight > pivot; });
    const auto less =
        std::partition(equal, weights.end(), [&](std::uint64_t weight) { return weight == pivot; });
    std::uint64_t sum = above;
    for (auto at = weights.begin(); at != equal; ++at) sum += *at;
    if (exceeds(sum, bound)) {
      weights = {weights.begin(), equal};
      continue;
    }
    sum += pivot * static_cast<std::uint64_t>(less - equal);
    if (exceeds(sum, bound)) return pivot;
    above = sum;
    weights = {less, weights.end()};
  }
  return 0;
}

class Sampler {
 public:
  Sampler(const SegmentWords& segment, const Scratch& scratch)
      : segment_(segment), sampler_(segment.sampling), n_(scratch.vocab_size), scratch_(scratch) {}

  std::int32_t sample(const SamplerStructure& structure, const float* logits,
                      const std::uint32_t* seen) {
    // NaN and infinity must be detected before the penalty is applied, because the penalty could
    // make an infinite logit finite.
    std::int32_t best = largest_of(logits);
    if (best < 0) return -1;
    const bool draws = structure.draw && sampler_.temperature != 0;
    if (structure.penalty || draws) std::copy_n(logits, n_, scratch_.scaled);
    if (structure.penalty) {
      penalize(sampler_, seen, n_, scratch_.scaled);
      best = largest_of(scratch_.scaled);
    }
    if (best < 0 || !draws) return best;
    for (std::int64_t i = 0; i < n_; ++i) scratch_.scaled[i] /= sampler_.temperature;
    // A tiny temperature can make the largest scaled logit infinite. Then the token with the
    // largest logit is taken, as in the limit of temperature 0.
    if (!std::isfinite(scratch_.scaled[best])) return best;
    keep(scratch_.scaled[best]);
    apply_top_p();
    apply_min_p();
    return draw();
  }

 private:
  std::span<Kept> kept() const { return {scratch_.kept, n_kept_}; }
  std::span<float> maxima() const {
    return {scratch_.maxima, static_cast<std::size_t>(blocks_of(n_))};
  }
  template <class Drops>
  void drop(const Drops& drops) {
    const auto end = std::remove_if(kept().begin(), kept().end(), drops);
    n_kept_ = static_cast<std::size_t>(end - kept().begin());
  }

  /// Returns the index of the largest value, and in a tie the lowest index. Returns -1 if a value
  /// is NaN or the largest value is infinite. Stores the largest value of each block in maxima().
  std::int32_t largest_of(const float* values) const {
    if (!HWY_DYNAMIC_DISPATCH(find_maxima)(values, n_, scratch_.maxima)) return -1;
    const auto block = std::ranges::max_element(maxima());
    if (!std::isfinite(*block)) return -1;
    const float* from = values + (block - maxima().begin()) * kBlock;
    return static_cast<std::int32_t>(std::find(from, values + n_, *block) - values);
  }

  /// Keeps the tokens that pass top-k and have a nonzero weight, and computes their weights.
  void keep(float largest) {
    HWY_DYNAMIC_DISPATCH(find_maxima)(scratch_.scaled, n_, scratch_.maxima);
    // A lower logit has weight 0, because exp(-21.5) * 2^30 rounds to 0.
    const auto has_weight = [&](float l) {
      return static_cast<double>(l) - static_cast<double>(largest) >= -21.5;
    };
    const bool top_k = sampler_.top_k != 0 && sampler_.top_k < n_;
    float least = -std::numeric_limits<float>::infinity();
    if (top_k && maxima().size() >= sampler_.top_k) {
      // The k-th largest block maximum is a lower bound for the k-th largest logit, because at
      // least k logits are as large.
      std::ranges::copy(maxima(), scratch_.selected);
      least = select({scratch_.selected, maxima().size()}, sampler_.top_k);
    }
    n_kept_ = 0;
    for (std::int64_t begin = 0; begin < n_; begin += kBlock) {
      const float most = scratch_.maxima[begin / kBlock];
      if (most < least || !has_weight(most)) continue;
      for (std::int64_t i = begin; i < std::min(begin + kBlock, n_); ++i)
        if (const float l = scratch_.scaled[i]; l >= least && has_weight(l))
          scratch_.kept[n_kept_++] = {l, static_cast<std::int32_t>(i), 0};
    }
    if (top_k && n_kept_ > sampler_.top_k) {
      for (std::size_t i = 0; i < n_kept_; ++i) scratch_.selected[i] = scratch_.kept[i].logit;
      const float kth = select({scratch_.selected, n_kept_}, sampler_.top_k);
      drop([&](const Kept& token) { return token.logit < kth; });
    }
    for (Kept& token : kept()) token.weight = token_weight(token.logit, largest);
  }

  std::uint64_t total() const {
    std::uint64_t sum = 0;
    for (const Kept& token : kept()) sum += token.weight;
    return sum;
  }

  void apply_top_p() {
    if (sampler_.use_top_p == 0) return;
    for (std::size_t i = 0; i < n_kept_; ++i) scratch_.weights[i] = scratch_.kept[i].weight;
    const std::uint64_t least =
        weight_at({scratch_.weights, n_kept_}, top_p_bound(sampler_, total()));
    drop([&](const Kept& token) { return token.weight < least; });
  }

  void apply_min_p() {
    const std::uint64_t min_p = sampler_.min_p_q32.value();
    if (min_p == 0) return;
    const std::uint64_t largest = std::ranges::max_element(kept(), {}, &Kept::weight)->weight;
    drop([&](const Kept& token) { return is_below_min_p(token.weight, min_p, largest); });
  }

  std::int32_t draw() const {
    const std::uint64_t target = drawn_target(segment_, total());
    std::uint64_t sum = 0;
    for (const Kept& token : kept()) {
      sum += token.weight;
      if (sum > target) return token.id;
    }
    return -1;  // never happens, because target < total
  }

  const SegmentWords& segment_;
  const SamplerWords& sampler_;
  std::int64_t n_;
  const Scratch& scratch_;
  std::size_t n_kept_ = 0;
};

void run(const KernelArgs& args, const Scratch& scratch) {
  const auto params = args.params<SampleParams>();
  sample_segments(args,
                  [&](const SegmentWords& segment, const float* logits, const std::uint32_t* seen) {
                    return Sampler(segment, scratch).sample(params.structure, logits, seen);
                  });
}

}  // namespace

const CpuKernel simd_sample = kernel_with_scratch<Scratch, run>();

}  // namespace bitaxon::cpu
#endif
