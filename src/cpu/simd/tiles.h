// The layout of weights for the vectorized kernels. A tile has sixteen rows of a matrix, which are
// interleaved. Each lane of a vector is a row, so no sum over lanes is needed. Codes and scales are
// in one stream of memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/align.h"
#include "cpu/memory.h"
#include "cpu/simd/product.h"
#include "formats/weight_format.h"

namespace bitaxon::cpu {

inline constexpr std::int64_t kTileRows = 16;
/// The largest size of a block. The products of a block are summed as integers, and then the sum is
/// scaled.
inline constexpr std::int64_t kMaxBlock = 64;

/// The largest integer that replaces a value of a codebook in 16-bit products.
inline constexpr int kMaxTableInteger = 2047;

/// The tiled form of a weight [n_matrices, rows, cols]. The last tile of a matrix is padded with
/// zeros. A dense tile holds the element of column c and row r at index c * 16 + r, in the stored
/// type. A tile of codes holds, for each group of `group` columns:
///   codes   u32 [group * bits / 32][16], bits 4 or 8. A word has eight or four columns of a row.
///           With 4 bits, the code of column 2j is in bits 4j to 4j+3, that of column 2j+1 in bits
///           16+4j to 16+4j+3. With 8 bits, the code of column 2j is in bits 8j to 8j+7, that of
///           column 2j+1 in bits 16+8j to 16+8j+7
///   scales  [16], of type scale_type
///   biases  [16], of type scale_type, only for affine
/// If the scales and biases of a group fill whole cache lines, they follow the codes of their group.
/// Otherwise the scales of all groups follow the codes of all groups, so that codes stay aligned.
struct TileLayout {
  WeightFormat format = WeightFormat::dense;
  DType dtype = DType::f32;  ///< the type of dense elements
  ScaleType scale_type = ScaleType::f32;
  int bits = 4;
  std::int64_t n_matrices = 1;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t group = 0;  ///< columns per group; only for codes

  std::int64_t tiles_per_matrix() const { return divide_up(rows, kTileRows); }
  std::int64_t groups_per_row() const { return cols / group; }
  std::size_t codes_bytes() const;   ///< the size in bytes of the codes of one group
  std::size_t scales_bytes() const;  ///< the size in bytes of the scales and biases of one group
  std::size_t data_stride() const;   ///< from the codes of one group to those of the next group
  std::size_t scale_stride() const;
  std::size_t scales_offset() const;  ///< from the beginning of a tile to its first scale
  std::size_t tile_bytes() const;
  std::size_t tile_offset(std::int64_t matrix, std::int64_t tile) const {
    return static_cast<std::size_t>(matrix * tiles_per_matrix() + tile) * tile_bytes();
  }
  std::size_t size_bytes() const {
    return static_cast<std::size_t>(n_matrices * tiles_per_matrix()) * tile_bytes();
  }

 private:
  bool has_own_scales() const { return (codes_bytes() + scales_bytes()) % kAlignment == 0; }
};

/// Whether a weight can be tiled. It must be a matrix, and its groups must be of whole words of
/// codes. If a block of a codebook extends over two rows, the groups of the tiles are smaller, and
/// the blocks must be so large that this costs little memory.
bool can_be_tiled(const WeightDesc& desc);
TileLayout tile_layout(const WeightDesc& desc);
/// Packs tiles [first, last). Tiles are counted over all matrices.
/// to  [layout.size_bytes()]: the memory of all tiles, aligned to 64
void pack_tiles(const WeightDesc& desc, const WeightParts& parts, const TileLayout& layout,
                std::int64_t first, std::int64_t last, std::span<std::byte> to);
/// Decodes one element. The result has the same bits as the result of decode() for the stored form.
/// quant_map  f32 [16], only for a codebook
/// factor     the factor of the matrix (product.h)
float decode_tiled_element(const TileLayout& layout, const std::byte* tiles, const float* quant_map,
                           float factor, std::int64_t matrix, std::int64_t row, std::int64_t col);

}  // namespace bitaxon::cpu
