#include "support/plain_sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/philox.h"

namespace bitaxon::test {
namespace {

__extension__ using Wide = unsigned __int128;

constexpr double kOne = 4294967296.0;  // equals 2^32

std::uint64_t q32(double fraction) {
  return static_cast<std::uint64_t>(std::floor(fraction * kOne + 0.5));
}

std::vector<float> penalised(std::span<const float> logits, const std::vector<bool>& seen,
                             float penalty) {
  std::vector<float> out(logits.begin(), logits.end());
  if (penalty == 1) return out;
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (!seen[i]) continue;
    if (out[i] > 0)
      out[i] = out[i] / penalty;
    else
      out[i] = out[i] * penalty;
  }
  return out;
}

std::int32_t lowest_largest(std::span<const float> logits) {
  return static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

bool drawable(std::span<const float> logits) {
  for (float logit : logits)
    if (std::isnan(logit)) return false;
  return std::isfinite(*std::max_element(logits.begin(), logits.end()));
}

std::uint64_t sum(std::span<const std::uint64_t> weights) {
  return std::accumulate(weights.begin(), weights.end(), std::uint64_t{0});
}

/// Sets the weight of every token below `least` to 0, which drops the token.
void keep_from(std::vector<std::uint64_t>& weights, std::uint64_t least) {
  for (std::uint64_t& weight : weights)
    if (weight < least) weight = 0;
}

void top_p_filter(std::vector<std::uint64_t>& weights, double top_p) {
  std::vector<std::size_t> order(weights.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return weights[a] > weights[b]; });
  const Wide bound = static_cast<Wide>(q32(top_p)) * sum(weights);
  Wide running = 0;
  for (std::size_t i : order) {
    running += weights[i];
    if (running * static_cast<Wide>(std::uint64_t{1} << 32) > bound)
      return keep_from(weights, weights[i]);
  }
}

void min_p_filter(std::vector<std::uint64_t>& weights, double min_p) {
  const Wide largest = *std::max_element(weights.begin(), weights.end());
  for (std::uint64_t& weight : weights)
    if (static_cast<Wide>(weight) * static_cast<Wide>(std::uint64_t{1} << 32) <
        static_cast<Wide>(q32(min_p)) * largest)
      weight = 0;
}

}  // namespace

SamplerWords PlainParams::words() const {
  SamplerWords words;
  words.temperature = temperature;
  words.repetition_penalty = penalty;
  words.top_k = static_cast<std::uint32_t>(top_k);
  words.use_top_p = top_p < 1 ? 1 : 0;
  words.top_p_q32 = U64Words::of(q32(top_p));
  words.min_p_q32 = U64Words::of(q32(min_p));
  words.seed = U64Words::of(seed);
  return words;
}

std::vector<std::uint64_t> plain_weights(std::span<const float> logits,
                                         const std::vector<bool>& seen, const PlainParams& params) {
  std::vector<float> scaled = penalised(logits, seen, params.penalty);
  for (float& logit : scaled) logit = logit / params.temperature;
  const float largest = *std::max_element(scaled.begin(), scaled.end());
  float kth = -std::numeric_limits<float>::infinity();
  if (params.top_k >= 1 && params.top_k <= scaled.size()) {
    std::vector<float> descending = scaled;
    std::sort(descending.rbegin(), descending.rend());
    kth = descending[params.top_k - 1];
  }
  std::vector<std::uint64_t> weights;
  for (float logit : scaled) {
    const double e = std::exp(static_cast<double>(logit) - static_cast<double>(largest));
    weights.push_back(logit >= kth ? static_cast<std::uint64_t>(std::floor(e * 1073741824.0 + 0.5))
                                   : 0);
  }
  if (params.top_p < 1) top_p_filter(weights, params.top_p);
  if (params.min_p > 0) min_p_filter(weights, params.min_p);
  return weights;
}

std::int32_t plain_sample(std::span<const float> logits, const std::vector<bool>& seen,
                          const PlainParams& params, std::uint64_t position) {
  if (!drawable(logits)) return -1;
  const std::vector<float> after = penalised(logits, seen, params.penalty);
  if (!drawable(after)) return -1;
  const std::int32_t best = lowest_largest(after);
  // A very small temperature can make the best logit infinite. Then the draw is greedy.
  if (params.temperature == 0 ||
      std::isinf(after[static_cast<std::size_t>(best)] / params.temperature))
    return best;
  const std::vector<std::uint64_t> weights = plain_weights(logits, seen, params);
  const auto words = philox4x32(
      {static_cast<std::uint32_t>(position), static_cast<std::uint32_t>(position >> 32), 0, 0},
      {static_cast<std::uint32_t>(params.seed), static_cast<std::uint32_t>(params.seed >> 32)});
  const Wide r = static_cast<Wide>(words[0]) + (static_cast<Wide>(words[1]) << 32);
  const Wide threshold = (r * sum(weights)) >> 64;
  Wide running = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    running += weights[i];
    if (running > threshold) return static_cast<std::int32_t>(i);
  }
  return -2;  // not reached, because the threshold is below the sum
}

}  // namespace bitaxon::test
