// The parameters of a sampler (docs/sampling.md).
#pragma once

#include <cstdint>

#include "bitaxon/export.h"
#include "bitaxon/ops.h"

namespace bitaxon {

/// How tokens are chosen. The program's options have the same default values.
struct BX_API SamplerParams {
  double temperature = 0.6;  ///< 0 means argmax
  std::int64_t top_k = 50;   ///< 0 means off
  double top_p = 0.95;       ///< 1 means off
  double min_p = 0;          ///< 0 means off
  double repetition_penalty = 1;
  std::uint64_t seed = 0;

  /// The stages that these parameters need.
  SamplerStructure structure() const;
  /// Throws Error(invalid_argument) if a parameter is out of range. The message names the first
  /// such parameter, its value and its range. NaN is out of every range.
  void validate() const;
};

}  // namespace bitaxon
