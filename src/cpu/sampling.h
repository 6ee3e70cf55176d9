// The arithmetic of the sampler: the weight of a token, and whether a filter drops it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "core/philox.h"
#include "core/step.h"
#include "cpu/kernel.h"
#include "ops/sample.h"

namespace bitaxon::cpu {

__extension__ using Wide = unsigned __int128;

inline void penalize(const SamplerWords& sampler, const std::uint32_t* seen, std::int64_t n,
                     float* logits) {
  const float penalty = sampler.repetition_penalty;
  if (penalty == 1.0F) return;
  // If an extreme penalty makes a finite logit overflow, the result is the largest finite number
  // with the same sign. An infinite logit stays infinite.
  constexpr float kMax = std::numeric_limits<float>::max();
  for (std::int64_t i = 0; i < n; ++i) {
    if ((seen[i / 32] >> (i % 32) & 1U) == 0 || std::isinf(logits[i])) continue;
    const float penalized = logits[i] > 0 ? logits[i] / penalty : logits[i] * penalty;
    logits[i] = std::clamp(penalized, -kMax, kMax);
  }
}

/// The weight of a token with scaled logit l: floor(exp(l - largest) * 2^30 + 0.5).
inline std::uint64_t token_weight(float l, float largest) {
  const double e = std::exp(static_cast<double>(l) - static_cast<double>(largest));
  return static_cast<std::uint64_t>(std::floor(e * 0x1p30 + 0.5));
}

/// The bound of top-p, scaled by 2^32. Top-p adds up tokens by descending weight and stops at the
/// first token whose running sum exceeds this bound.
inline Wide top_p_bound(const SamplerWords& sampler, std::uint64_t total) {
  return Wide{sampler.top_p_q32.value()} * total;
}
inline bool exceeds(std::uint64_t sum, Wide bound) { return Wide{sum} << 32 > bound; }

inline bool is_below_min_p(std::uint64_t weight, std::uint64_t min_p_q32, std::uint64_t largest) {
  return Wide{weight} << 32 < Wide{min_p_q32} * largest;
}

/// The target of the draw. The weights of tokens are added up in order of ids, and the first token
/// whose running sum exceeds the target is drawn.
inline std::uint64_t drawn_target(const SegmentWords& segment, std::uint64_t total) {
  const std::uint64_t position = std::uint64_t{segment.position} + segment.n_rows;
  const U64Words counter = U64Words::of(position);
  const U64Words& seed = segment.sampling.seed;
  const auto words = philox4x32({counter.low, counter.high, 0, 0}, {seed.low, seed.high});
  const std::uint64_t r = words[0] | std::uint64_t{words[1]} << 32;
  return static_cast<std::uint64_t>(Wide{r} * total >> 64);
}

/// Stores a token for every segment that samples in this step. `sample` returns the token; its
/// arguments are the segment, the logits of the segment and the bits of the tokens it has seen.
template <class Sample>
void sample_segments(const KernelArgs& args, const Sample& sample) {
  using namespace sample_operand;
  const std::int64_t vocab_size = args.shape(logits)[1];
  for (std::uint32_t g = 0; g < args.step.n_segments; ++g) {
    const SegmentWords& segment = args.step.segments[g];
    std::int32_t& token = args.data<std::int32_t>(tokens)[g];
    token = BX_TOKEN_NOT_SAMPLED;
    if (segment.sampled_output == BX_SAMPLES_NOTHING) continue;
    token = sample(segment, args.data(logits) + segment.sampled_output * vocab_size,
                   args.state<std::uint32_t>(seen, segment, segment.write_version));
    *args.state<std::int32_t>(next_token, segment, segment.write_version) = token;
  }
}

}  // namespace bitaxon::cpu
