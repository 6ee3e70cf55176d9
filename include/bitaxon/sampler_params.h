// The parameters of a sampler (docs/sampling.md).
#pragma once

#include <cstdint>

#include "bitaxon/export.h"
#include "bitaxon/ops.h"

namespace bitaxon {

/// How tokens are chosen. The defaults are the program's.
struct BX_API SamplerParams {
  double temperature = 0.6;  ///< 0: argmax
  std::int64_t top_k = 50;   ///< 0: off
  double top_p = 0.95;       ///< 1: off
  double min_p = 0;          ///< 0: off
  double repetition_penalty = 1;
  std::uint64_t seed = 0;

  SamplerStructure structure() const;
  /// Throws Error(invalid_argument) that names the parameter, its value and its range; NaN is never
  /// in range.
  void validate() const;
};

}  // namespace bitaxon
