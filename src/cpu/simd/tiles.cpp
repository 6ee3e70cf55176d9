#include "cpu/simd/tiles.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "formats/float_bytes.h"

namespace bitaxon::cpu {
namespace {

constexpr auto kLanes = static_cast<std::size_t>(kTileRows);

/// Packs one column of a tile: sixteen elements of type T. If the tile has fewer than sixteen rows,
/// the missing elements are zero.
template <class T, class ValueOf>
std::byte* pack_lanes(std::int64_t n_rows, std::byte* to, const ValueOf& value_of) {
  std::array<T, kTileRows> lanes{};
  for (std::int64_t r = 0; r < n_rows; ++r) lanes[static_cast<std::size_t>(r)] = value_of(r);
  std::memcpy(to, lanes.data(), sizeof(lanes));
  return to + sizeof(lanes);
}

/// Packs a tile of a dense weight of type T. `element` is the index of the first element of the
/// tile's first row.
template <class T>
void pack_dense(const WeightDesc& desc, const WeightParts& parts, std::int64_t element,
                std::int64_t n_rows, std::byte* tile) {
  for (std::int64_t c = 0; c < desc.cols; ++c)
    tile = pack_lanes<T>(n_rows, tile, [&](std::int64_t r) {
      return load_element<T>(parts.data.data(), element + r * desc.cols + c);
    });
}

/// Rearranges the eight codes of a word. The codes of even columns go to the low half, the codes of
/// odd columns to the high half.
std::uint32_t parted(std::uint32_t word) {
  const auto swap = [&](int distance, std::uint32_t which) {
    const std::uint32_t differ = (word ^ word >> distance) & which;
    word ^= differ ^ differ << distance;
  };
  swap(4, 0x00f000f0u);
  swap(8, 0x0000ff00u);
  return word;
}

/// Rearranges the codes in n * 16 words, each of which has eight columns of one row, as the kernels
/// expect them. In stored NF4 weights, the two columns of each byte are swapped.
void part_columns(WeightFormat format, std::int64_t n, std::byte* codes) {
  for (std::int64_t i = 0; i < n; ++i) {
    std::array<std::uint32_t, kTileRows> words;
    std::byte* at = codes + static_cast<std::size_t>(i) * sizeof(words);
    std::memcpy(words.data(), at, sizeof(words));
    for (std::uint32_t& word : words) word = parted(word);
    if (format == WeightFormat::codebook)
      for (std::uint32_t& word : words) word = word >> 16 | word << 16;
    std::memcpy(at, words.data(), sizeof(words));
  }
}

/// Packs a tile of a 4-bit weight with scales of type T. `element` is the index of the first
/// element of the tile's first row.
template <class T>
void pack_coded(const WeightDesc& desc, const WeightParts& parts, const TileLayout& layout,
                std::int64_t element, std::int64_t n_rows, std::byte* tile) {
  const std::int64_t groups_per_row = desc.cols / layout.group;
  const std::int64_t words_per_group = layout.group / 8;
  const std::size_t codes_bytes = layout.codes_bytes();
  for (std::int64_t group = element / layout.group, end = group + groups_per_row; group < end;
       ++group) {
    if (n_rows < kTileRows) std::memset(tile, 0, codes_bytes);
    for (std::int64_t r = 0; r < n_rows; ++r) {
      const std::int64_t word = (group + r * groups_per_row) * words_per_group;
      for (std::int64_t i = 0; i < words_per_group; ++i)
        store_element(load_element<std::uint32_t>(parts.data.data(), word + i), tile,
                      i * kTileRows + r);
    }
    part_columns(desc.format, words_per_group, tile);
    tile += codes_bytes;
    for (const auto& scales : {parts.scales, parts.biases})
      if (!scales.empty())
        tile = pack_lanes<T>(n_rows, tile, [&](std::int64_t r) {
          return load_element<T>(scales.data(), group + r * groups_per_row);
        });
  }
}

}  // namespace

std::size_t TileLayout::codes_bytes() const { return static_cast<std::size_t>(group) * kLanes / 2; }

std::size_t TileLayout::group_bytes() const {
  const std::size_t n_scales = (format == WeightFormat::affine ? 2 : 1) * kLanes;
  return codes_bytes() + n_scales * size_of(dtype);
}

std::size_t TileLayout::tile_bytes() const {
  const auto n_cols = static_cast<std::size_t>(cols);
  return format == WeightFormat::dense ? n_cols * kLanes * size_of(dtype)
                                       : n_cols / static_cast<std::size_t>(group) * group_bytes();
}

bool can_be_tiled(const WeightDesc& desc) {
  if (desc.rows < 2 || desc.cols < 2) return false;
  if (desc.format == WeightFormat::dense) return true;
  if (desc.bits != 4 || (desc.format == WeightFormat::codebook && !has_stored_table(desc)))
    return false;
  if (desc.group_size % 8 != 0 || desc.cols % desc.group_size != 0) return false;
  if (desc.group_size > kMaxBlock && desc.group_size % kMaxBlock != 0) return false;
  return desc.format == WeightFormat::affine ? desc.dtype == desc.bias_dtype : !desc.nested;
}

TileLayout tile_layout(const WeightDesc& desc) {
  return {.format = desc.format,
          .dtype = desc.format == WeightFormat::codebook ? DType::f32 : desc.dtype,
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
    const std::int64_t element = (index / n_tiles * desc.rows + first_row) * desc.cols;
    const auto pack = [&]<class T>(T) {
      if (layout.format == WeightFormat::dense)
        pack_dense<T>(desc, parts, element, n_rows, tile);
      else
        pack_coded<T>(desc, parts, layout, element, n_rows, tile);
    };
    if (size_of(layout.dtype) == 4)
      pack(std::uint32_t{});
    else
      pack(std::uint16_t{});
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
  const std::byte* scales = tile + layout.codes_bytes();
  const float scale = load_float(layout.dtype, scales, lane);
  if (layout.format == WeightFormat::codebook) return quant_map[code] * scale;
  const float bias = load_float(layout.dtype, scales, kTileRows + lane);
  // In double, the product is exact. So the result has one rounding, as in decode().
  return static_cast<float>(static_cast<double>(scale) * code + static_cast<double>(bias));
}

}  // namespace bitaxon::cpu
