#pragma once

#include "ops/attention.h"

namespace bitaxon {

// The parameters are AttentionParams.

namespace attention_backward_operand {
enum : int { q, keys, values, y, g_y, g_keys, g_values, g_q };
}

/// The positions of keys whose gradients a segment changes: all that its rows attend to.
struct GradientRange {
  std::int64_t first = 0;  ///< the first position
  /// From this position on, later steps have written gradients, and those of this step are added.
  /// The gradients of earlier positions are written. No position if no step follows.
  std::int64_t added = 0;
  std::int64_t end = 0;

  GradientRange(const AttentionParams& params, std::int64_t position, std::int64_t n_rows,
                bool keeps_state)
      : first(params.first_key(position)),
        added(keeps_state ? params.first_key(position + n_rows) : position + n_rows),
        end(position + n_rows) {}
};

}  // namespace bitaxon
