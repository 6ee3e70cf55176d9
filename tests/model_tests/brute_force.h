// The whole model in float64, written plainly from its definition: no state, no ring, no chunks.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/families/bit_axon.h"
#include "support/wrapped_backend.h"

namespace bitaxon::test {

struct BruteForceResult {
  std::vector<float> logits;  ///< [L, V]
  /// Smallest distance between the last expert chosen and the first one not chosen. Near zero an
  /// honest implementation may choose otherwise.
  double min_router_margin = 1;
};

BruteForceResult brute_force(const BitAxonConfig& config, const CapturedWeights& weights,
                             std::span<const std::int32_t> ids);

}  // namespace bitaxon::test
