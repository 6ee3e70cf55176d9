#include "cpu/fast/tiles.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "formats/float_bytes.h"

namespace bitaxon::cpu {
namespace {

constexpr auto kLanes = static_cast<std::size_t>(kTileRows);

/// Copies element `index` of an array of `size`-byte elements.
void copy_element(std::byte* to, std::span<const std::byte> from, std::int64_t index,
                  std::size_t size) {
  std::memcpy(to, from.data() + static_cast<std::size_t>(index) * size, size);
}

/// Four nibbles in every second place, put together.
std::uint32_t compress(std::uint32_t nibbles) {
  nibbles &= 0x0f0f0f0fu;
  nibbles = (nibbles | nibbles >> 4) & 0x00ff00ffu;
  return (nibbles | nibbles >> 8) & 0xffffu;
}

/// Eight columns of one row, as the kernels read them: even ones below, odd ones above.
std::uint32_t word_of(WeightFormat format, std::span<const std::byte> codes, std::int64_t element) {
  std::uint32_t word = 0;
  std::memcpy(&word, codes.data() + element / 2, sizeof(word));
  const std::uint32_t low = compress(word);
  const std::uint32_t high = compress(word >> 4);
  return format == WeightFormat::affine4 ? low | high << 16 : high | low << 16;
}

void pack_dense_row(const WeightDesc& desc, const WeightParts& parts, std::int64_t element,
                    std::byte* to) {
  const std::size_t size = size_of(desc.dtype);
  for (std::int64_t c = 0; c < desc.cols; ++c)
    copy_element(to + static_cast<std::size_t>(c) * kLanes * size, parts.data, element + c, size);
}

/// `element`: the row's first; `to`: its lane of the tile's first chunk.
void pack_coded_row(const WeightDesc& desc, const WeightParts& parts, const TileLayout& layout,
                    std::int64_t element, std::size_t lane, std::byte* tile) {
  const std::size_t size = size_of(layout.dtype);
  const auto codes_bytes = static_cast<std::size_t>(layout.group) * kLanes / 2;
  for (std::int64_t first = 0; first < desc.cols; first += layout.group) {
    for (std::int64_t c = 0; c < layout.group; c += 8) {
      const std::uint32_t word = word_of(desc.format, parts.data, element + first + c);
      std::memcpy(
          tile + static_cast<std::size_t>(c / 8) * kLanes * sizeof(word) + lane * sizeof(word),
          &word, sizeof(word));
    }
    const std::int64_t group = (element + first) / desc.group_size;
    copy_element(tile + codes_bytes + lane * size, parts.scales, group, size);
    if (desc.format == WeightFormat::affine4)
      copy_element(tile + codes_bytes + (kLanes + lane) * size, parts.biases, group, size);
    tile += layout.group_bytes();
  }
}

}  // namespace

std::size_t TileLayout::group_bytes() const {
  const std::size_t n_scales = (format == WeightFormat::affine4 ? 2 : 1) * kLanes;
  return static_cast<std::size_t>(group) * kLanes / 2 + n_scales * size_of(dtype);
}

std::size_t TileLayout::tile_bytes() const {
  const auto n_cols = static_cast<std::size_t>(cols);
  return format == WeightFormat::dense ? n_cols * kLanes * size_of(dtype)
                                       : n_cols / static_cast<std::size_t>(group) * group_bytes();
}

bool can_be_tiled(const WeightDesc& desc) {
  if (desc.rows < 2 || desc.cols < 2) return false;
  if (desc.format == WeightFormat::dense) return true;
  if (desc.group_size % 8 != 0 || desc.cols % desc.group_size != 0) return false;
  if (desc.group_size > kMaxBlock && desc.group_size % kMaxBlock != 0) return false;
  return desc.format == WeightFormat::affine4 ? desc.dtype == desc.bias_dtype : !desc.nested;
}

TileLayout tile_layout(const WeightDesc& desc) {
  return {.format = desc.format,
          .dtype = desc.format == WeightFormat::nf4 ? DType::f32 : desc.dtype,
          .n_matrices = desc.n_matrices,
          .rows = desc.rows,
          .cols = desc.cols,
          .group = desc.group_size};
}

void pack_tiles(const WeightDesc& desc, const WeightParts& parts, const TileLayout& layout,
                std::int64_t first, std::int64_t last, std::span<std::byte> to) {
  const std::int64_t n_tiles = layout.tiles_per_matrix();
  for (std::int64_t index = first; index < last; ++index) {
    const std::int64_t first_row = index % n_tiles * kTileRows;
    std::byte* tile = to.data() + layout.tile_offset(0, index);
    const std::int64_t n_rows = std::min(kTileRows, desc.rows - first_row);
    if (n_rows < kTileRows) std::memset(tile, 0, layout.tile_bytes());
    for (std::int64_t r = 0; r < n_rows; ++r) {
      const std::int64_t element = (index / n_tiles * desc.rows + first_row + r) * desc.cols;
      const auto lane = static_cast<std::size_t>(r);
      if (layout.format == WeightFormat::dense)
        pack_dense_row(desc, parts, element, tile + lane * size_of(layout.dtype));
      else
        pack_coded_row(desc, parts, layout, element, lane, tile);
    }
  }
}

float decode_tiled_element(const TileLayout& layout, const std::byte* tiles, const float* quant_map,
                           std::int64_t matrix, std::int64_t row, std::int64_t col) {
  const std::byte* tile = tiles + layout.tile_offset(matrix, row / kTileRows);
  const std::int64_t lane = row % kTileRows;
  if (layout.format == WeightFormat::dense)
    return load_float(layout.dtype, tile, col * kTileRows + lane);
  tile += static_cast<std::size_t>(col / layout.group) * layout.group_bytes();
  const std::int64_t c = col % layout.group;
  const auto word = load_element<std::uint32_t>(tile, c / 8 * kTileRows + lane);
  const unsigned code = word >> (16 * (c % 2) + 4 * (c % 8 / 2)) & 15;
  const auto codes_bytes = static_cast<std::size_t>(layout.group) * kLanes / 2;
  const float scale = load_float(layout.dtype, tile + codes_bytes, lane);
  if (layout.format == WeightFormat::nf4) return quant_map[code] * scale;
  const float bias = load_float(layout.dtype, tile + codes_bytes, kTileRows + lane);
  // In double the product is exact: rounded once, as decode() does.
  return static_cast<float>(static_cast<double>(scale) * code + static_cast<double>(bias));
}

}  // namespace bitaxon::cpu
