// A second implementation of sampling, written from docs/sampling.md. It is slow. It does not share
// scratch memory or the order of work with any kernel. The sample op must return the same tokens as
// this implementation.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/step.h"

namespace bitaxon::test {

struct PlainParams {
  float temperature = 1;
  float penalty = 1;        ///< repetition penalty; 1: no penalty
  std::uint64_t top_k = 0;  ///< 0: no filter
  double top_p = 1;         ///< 1: no filter
  double min_p = 0;         ///< 0: no filter
  std::uint64_t seed = 0;

  SamplerWords words() const;
};

/// The integer weight of each token after all filters. Dropped tokens have the weight 0. The logits
/// must be finite or -infinity, and the temperature must not be 0.
std::vector<std::uint64_t> plain_weights(std::span<const float> logits,
                                         const std::vector<bool>& seen, const PlainParams& params);

/// The token that is drawn at `position` of a sequence. -1 if a logit is NaN or the largest logit
/// is not finite.
std::int32_t plain_sample(std::span<const float> logits, const std::vector<bool>& seen,
                          const PlainParams& params, std::uint64_t position);

}  // namespace bitaxon::test
