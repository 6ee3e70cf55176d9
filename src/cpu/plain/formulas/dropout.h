// Dropout. T is float in kernels and double in tests of the gradients.
//   y[c] = x[c] / (1 - p) if c is kept, else 0
#pragma once

#include <cstddef>
#include <cstdint>

#include "bitaxon/training_ops.h"
#include "core/philox.h"

namespace bitaxon::cpu::formulas {

/// Whether the drawn mask keeps element c of a row. `row` is the row of the micro-batch.
inline bool is_kept(const DropoutParams& params, std::uint32_t micro_batch, std::uint32_t row,
                    std::int64_t c) {
  const auto words =
      philox4x32({static_cast<std::uint32_t>(c / 4), row, micro_batch, params.seed_high},
                 {params.seed_low, params.index});
  return static_cast<float>(words[static_cast<std::size_t>(c % 4)] >> 8) * 0x1p-24F >= params.p;
}

/// One row. `is_kept(c)` says whether element c is kept.
template <class T, class IsKept>
void drop_row(float p, const T* x, std::int64_t n_cols, const IsKept& is_kept, T* y) {
  const double factor = 1.0 / (1.0 - static_cast<double>(p));
  for (std::int64_t c = 0; c < n_cols; ++c)
    y[c] = is_kept(c) ? static_cast<T>(static_cast<double>(x[c]) * factor) : T{0};
}

}  // namespace bitaxon::cpu::formulas
