// The layout of weights for the vectorized kernels. A tile has sixteen rows of a matrix, which are
// interleaved. Each lane of a vector is a row, so no sum over lanes is needed. Codes and scales are
// in one stream of memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/align.h"
#include "formats/weight_format.h"

namespace bitaxon::cpu {

inline constexpr std::int64_t kTileRows = 16;
/// The largest size of a block. The products of a block are summed as integers, and then the sum is
/// scaled.
inline constexpr std::int64_t kMaxBlock = 64;

/// The largest integer that replaces a value of the NF4 quant_map in 16-bit products.
inline constexpr int kNf4Range = 2047;

/// The tiled form of a weight [n_matrices, rows, cols]. The last tile of a matrix is padded with
/// zeros. A dense tile holds the element of column c and row r at index c * 16 + r, in the stored
/// type. A 4-bit tile holds, for each group of `group` columns:
///   codes   u32 [group / 8][16]   a word has eight columns of a row: the code of column 2j is in
///                                 bits 4j to 4j+3, that of column 2j+1 in bits 16+4j to 16+4j+3
///   scales  [16], of type dtype
///   biases  [16], of type dtype, only for affine4
struct TileLayout {
  WeightFormat format = WeightFormat::dense;
  DType dtype = DType::f32;  ///< the type of dense elements, or of scales and biases
  std::int64_t n_matrices = 1;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t group = 0;  ///< columns per group; only for 4-bit weights

  std::int64_t tiles_per_matrix() const { return divide_up(rows, kTileRows); }
  std::size_t codes_bytes() const;  ///< the size in bytes of the codes of one group
  std::size_t group_bytes() const;
  std::size_t tile_bytes() const;
  std::size_t tile_offset(std::int64_t matrix, std::int64_t tile) const {
    return static_cast<std::size_t>(matrix * tiles_per_matrix() + tile) * tile_bytes();
  }
  std::size_t size_bytes() const {
    return static_cast<std::size_t>(n_matrices * tiles_per_matrix()) * tile_bytes();
  }
};

/// Whether a weight can be tiled. It must be a matrix, and a group must not extend over two rows.
/// There are also limits on the group size and the types, which kernels rely on.
bool can_be_tiled(const WeightDesc& desc);
TileLayout tile_layout(const WeightDesc& desc);
/// Packs tiles [first, last). Tiles are counted over all matrices.
/// to  [layout.size_bytes()]: the memory of all tiles, aligned to 64
void pack_tiles(const WeightDesc& desc, const WeightParts& parts, const TileLayout& layout,
                std::int64_t first, std::int64_t last, std::span<std::byte> to);
/// Decodes one element. The result has the same bits as the result of decode() for the stored form.
/// quant_map  f32 [16], only for NF4
float decode_tiled_element(const TileLayout& layout, const std::byte* tiles, const float* quant_map,
                           std::int64_t matrix, std::int64_t row, std::int64_t col);

}  // namespace bitaxon::cpu
