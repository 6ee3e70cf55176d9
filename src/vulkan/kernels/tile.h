// What kernels that compute products in tiles have in common (shaders/lib/mat_mul.glsl).
#pragma once

#include <cstdint>

#include "shaders/params/columns.h"
#include "vulkan/kernels/form.h"
#include "vulkan/run/launch.h"

namespace bitaxon::vulkan {

/// What is known about the columns (shaders/params/columns.h). `x_width` is the number of columns of a
/// row of x, of which the first `n_cols` are read.
inline std::uint32_t columns_of(std::int64_t n_cols, std::int64_t x_width) {
  constexpr std::int64_t kDeepestSlice = 32;
  if (n_cols % 4 != 0 || x_width % 4 != 0) return BX_COLUMNS_ANY;
  return n_cols % kDeepestSlice == 0 ? BX_COLUMNS_FULL : BX_COLUMNS_QUADS;
}

/// Whether tiles without matrix units multiply halves in this precision.
inline bool has_half_tiles(const DeviceCaps& caps, Precision precision) {
  return precision == Precision::fast && caps.float16_tiles;
}

/// Whether the compiler spills registers if a tile of 64 rows of halves meets a weight of this form.
inline bool spills_half_tile(const DeviceCaps& caps, std::uint32_t form) {
  return caps.doubles_float16 && format_of(form) == BX_F16;
}

}  // namespace bitaxon::vulkan
