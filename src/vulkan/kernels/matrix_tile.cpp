#include "vulkan/kernels/matrix_tile.h"

#include <algorithm>
#include <bit>

#include "shaders/params/matrix_tile.h"
#include "vulkan/kernels/tile.h"

namespace bitaxon::vulkan {
namespace {

/// Shared memory of the codebooks of two weights, and of the entries that exist without codebooks.
constexpr std::uint32_t kCodebookBytes = 2 * 1024 + 16;
/// Sums of a tile that an invocation holds in registers. Wide subgroups belong to devices with more
/// registers for each invocation. There, large tiles hold twice as many.
constexpr std::uint32_t kSums = 32;
constexpr std::uint32_t kWideSubgroup = 32;
constexpr std::uint32_t kLeastGroup = 128;

/// The subgroup size of shaders with matrix units. Empty if it cannot be known.
std::optional<std::uint32_t> subgroup_size(const DeviceCaps& caps) {
  const bool is_fixed = caps.min_subgroup_size == caps.max_subgroup_size;
  if (!is_fixed && !(caps.subgroup_size_control && caps.full_subgroups)) return std::nullopt;
  return caps.min_subgroup_size;
}

/// The largest shape that the shaders can use. Empty if there is none.
std::optional<MatrixShape> best_shape(const DeviceCaps& caps) {
  const auto fits = [](std::uint32_t size, std::uint32_t most) {
    return size >= 8 && size <= most && std::has_single_bit(size);
  };
  std::optional<MatrixShape> best;
  for (const MatrixShape& s : caps.matrix_shapes)
    if (fits(s.m, 16) && fits(s.n, 16) && fits(s.k, BX_MATRIX_DEPTH) &&
        (!best || s.m * s.n * s.k > best->m * best->n * best->k))
      best = s;
  return best;
}

std::uint32_t group_of(const DeviceCaps& caps, std::uint32_t subgroup, std::uint32_t rows,
                       std::uint32_t outs) {
  const bool is_large = subgroup >= kWideSubgroup && rows * outs > 64 * 128;
  const std::uint32_t group = std::max(rows * outs / (is_large ? 2 * kSums : kSums), kLeastGroup);
  return std::min(
      {group, std::bit_floor(caps.max_group_invocations), std::bit_floor(caps.max_group_size[0])});
}

/// The loads of fragments that a subgroup makes in each step. With narrow subgroups, a fragment of x
/// takes several loads.
std::uint32_t loads_of(const MatrixTile& tile) {
  const std::uint32_t tall = tile.rows * tile.across / tile.subgroups / tile.shape.m;
  const std::uint32_t wide = tile.outs / tile.across / tile.shape.n;
  return (tile.subgroup_size < kWideSubgroup ? 2 : 1) * tall + wide;
}

/// Whether each subgroup has whole fragments, also of both halves of a pair of weights, and the slices
/// have room for one fragment of each subgroup.
bool divides(const MatrixTile& tile) {
  const std::uint32_t down = tile.subgroups / tile.across;
  const std::uint32_t fragments = tile.subgroups * tile.shape.m * tile.shape.n * 4;
  return fragments <= (tile.rows + tile.outs) * BX_MATRIX_STRIDE * 16 &&
         tile.rows % (down * tile.shape.m) == 0 &&
         tile.outs % (2 * tile.across * tile.shape.n) == 0;
}

}  // namespace

std::optional<MatrixUnits> matrix_units(const DeviceCaps& caps) {
  const auto shape = best_shape(caps);
  const auto subgroup = subgroup_size(caps);
  if (!shape || !subgroup || !caps.shader_float16 || !caps.memory_model) return std::nullopt;
  return MatrixUnits{*shape, *subgroup};
}

std::optional<MatrixTile> matrix_tile(const DeviceCaps& caps, std::uint32_t rows,
                                      std::uint32_t outs) {
  const auto units = matrix_units(caps);
  if (!units) return std::nullopt;
  const std::uint32_t shared = (rows + outs) * BX_MATRIX_STRIDE * 16 + kCodebookBytes;
  const std::uint32_t group = group_of(caps, units->subgroup_size, rows, outs);
  if (shared > caps.max_shared_bytes || group < units->subgroup_size) return std::nullopt;
  // A tile may be too small for the subgroups of the workgroup.
  for (std::uint32_t n = group / units->subgroup_size; n > 0; n /= 2) {
    std::optional<MatrixTile> best;
    for (std::uint32_t across = n; across > 0; across /= 2) {
      const MatrixTile tile{units->shape, rows, outs, units->subgroup_size, n, across};
      if (divides(tile) && (!best || loads_of(tile) <= loads_of(*best))) best = tile;
    }
    if (best) return best;
  }
  return std::nullopt;
}

void set_matrix_tile(Launch& launch, const MatrixTile& tile, std::int64_t n_cols,
                     std::int64_t x_width) {
  launch.subgroup_size = tile.subgroup_size;
  for (const SpecConstant& constant :
       {SpecConstant{BX_MATRIX_GROUP_SIZE, tile.group()}, SpecConstant{BX_MATRIX_M, tile.shape.m},
        SpecConstant{BX_MATRIX_N, tile.shape.n}, SpecConstant{BX_MATRIX_K, tile.shape.k},
        SpecConstant{BX_MATRIX_ROWS, tile.rows}, SpecConstant{BX_MATRIX_OUTS, tile.outs},
        SpecConstant{BX_MATRIX_SUBGROUPS, tile.subgroups},
        SpecConstant{BX_MATRIX_ACROSS, tile.across},
        SpecConstant{BX_MATRIX_COLUMNS, columns_of(n_cols, x_width)}})
    launch.specialization.push_back(constant);
}

bool has_matrix_shaders() { return !embedded_code(Shader::product_matrix).empty(); }

}  // namespace bitaxon::vulkan
