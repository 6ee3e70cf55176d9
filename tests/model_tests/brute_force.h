// Computes the whole model in float64, directly from its definition: without state, without a KV
// cache and without chunks.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/families/bit_axon.h"
#include "support/wrapped_backend.h"

namespace bitaxon::test {

struct BruteForceResult {
  std::vector<float> logits;  ///< logits of all positions, [L, V]
  /// The smallest gap between the gate of the last chosen expert and the gate of the best expert
  /// that is not chosen. If this gap is near zero, a correct implementation may choose another
  /// expert.
  double min_router_margin = 1;
};

BruteForceResult brute_force(const BitAxonConfig& config, const CapturedWeights& weights,
                             std::span<const std::int32_t> ids);

}  // namespace bitaxon::test
