// Chooses experts from the logits of a router.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace bitaxon::cpu {

/// Turns the logits of one row into probabilities. The probabilities are rounded to float32,
/// because the model defines ties in float32.
inline void softmax(double* logits, std::int64_t n) {
  const double largest = *std::max_element(logits, logits + n);
  double total = 0;
  for (std::int64_t i = 0; i < n; ++i) total += std::exp(logits[i] - largest);
  for (std::int64_t i = 0; i < n; ++i)
    logits[i] = static_cast<double>(static_cast<float>(std::exp(logits[i] - largest) / total));
}

/// Turns the logits `g` of one row into probabilities. Picks the top_k experts with the highest
/// probabilities, in descending order. In a tie, the expert with the lower index comes first. The
/// picked experts are always valid and distinct, even if logits are NaN, because later kernels use
/// them as indices.
inline void choose_experts(double* g, std::int64_t n_experts, std::int64_t top_k,
                           std::int32_t* experts, float* gates) {
  softmax(g, n_experts);
  for (std::int64_t k = 0; k < top_k; ++k) {
    std::int64_t best = -1;
    for (std::int64_t e = 0; e < n_experts; ++e) {
      if (std::find(experts, experts + k, static_cast<std::int32_t>(e)) != experts + k) continue;
      if (best < 0 || g[e] > g[best]) best = e;
    }
    experts[k] = static_cast<std::int32_t>(best);
    gates[k] = static_cast<float>(g[best]);
  }
}

/// Divides the gates of one row by their sum. The sum is positive, or NaN if a logit was NaN.
inline void renormalize(float* gates, std::int64_t top_k) {
  double total = 0;
  for (std::int64_t k = 0; k < top_k; ++k) total += static_cast<double>(gates[k]);
  for (std::int64_t k = 0; k < top_k; ++k)
    gates[k] = static_cast<float>(static_cast<double>(gates[k]) / total);
}

}  // namespace bitaxon::cpu
