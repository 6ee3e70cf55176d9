// The parameters of a sampler (docs/sampling.md).
#pragma once

#include <cstdint>

#include "bitaxon/export.h"
#include "bitaxon/ops.h"

namespace bitaxon {

/// How tokens are chosen. The program has the same default values.
struct BX_API SamplerParams {
  double temperature = 0.6;  ///< 0: argmax
  std::int64_t top_k = 50;   ///< 0: off
  double top_p = 0.95;       ///< 1: off
  double min_p = 0;          ///< 0: off
  double repetition_penalty = 1;
  std::uint64_t seed = 0;

  /// The stages that these parameters need.
  SamplerStructure structure() const;
  /// Throws Error(invalid_argument) that names the first parameter out of range, its value and its
  /// range. NaN is out of every range.
  void validate() const;
};

}  // namespace bitaxon
