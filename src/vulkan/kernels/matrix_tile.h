// The division of a tile of a matrix product among the subgroups of a workgroup, for shaders with
// matrix units (shaders/lib/matrix_tile.glsl).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "vulkan/run/launch.h"

namespace bitaxon::vulkan {

struct MatrixTile {
  MatrixShape shape;
  std::uint32_t rows = 0;  ///< argument rows
  std::uint32_t outs = 0;  ///< rows of the weight
  std::uint32_t subgroup_size = 0;
  std::uint32_t subgroups = 0;
  std::uint32_t across = 0;  ///< subgroups that share the same argument rows

  std::uint32_t group() const { return subgroups * subgroup_size; }
};

/// What shaders use of the matrix units of a device.
struct MatrixUnits {
  MatrixShape shape;
  std::uint32_t subgroup_size = 0;
};
/// Empty if the device cannot run shaders with matrix units.
std::optional<MatrixUnits> matrix_units(const DeviceCaps& caps);

/// The division of a tile of `rows` argument rows (16 or more) and `outs` rows of the weight. Both
/// are powers of two. Empty if the device cannot run shaders with matrix units, or not with this tile.
std::optional<MatrixTile> matrix_tile(const DeviceCaps& caps, std::uint32_t rows,
                                      std::uint32_t outs);

/// The same for a launch. Empty if its products must be exact, or if other tiles are to be used.
inline std::optional<MatrixTile> matrix_tile(const LaunchContext& context, std::uint32_t rows,
                                             std::uint32_t outs) {
  if (context.precision != Precision::fast || context.caps.matrix_tile == 0) return std::nullopt;
  return matrix_tile(context.caps, rows, outs);
}

/// Sets the subgroup size and adds the constants that the tile and the columns decide. `x_width` is
/// the number of columns of a row of x, of which the first `n_cols` are read.
void set_matrix_tile(Launch& launch, const MatrixTile& tile, std::int64_t n_cols,
                     std::int64_t x_width);

/// Whether this build has the shaders with matrix units, which a newer compiler must translate.
bool has_matrix_shaders();

}  // namespace bitaxon::vulkan
