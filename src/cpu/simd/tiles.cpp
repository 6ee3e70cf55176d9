#include "cpu/simd/tiles.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>

#include "formats/float8.h"
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

/// Rearranges the four codes of a word in the same way.
std::uint32_t parted_bytes(std::uint32_t word) {
  return (word & 0xff0000ffu) | (word & 0x0000ff00u) << 8 | (word & 0x00ff0000u) >> 8;
}

/// Rearranges the codes in n * 16 words, each of which has some columns of one row, as the kernels
/// expect them. If `high_first`, the two columns of each stored byte are swapped.
void part_columns(int bits, bool high_first, std::int64_t n, std::byte* codes) {
  for (std::int64_t i = 0; i < n; ++i) {
    std::array<std::uint32_t, kTileRows> words;
    std::byte* at = codes + static_cast<std::size_t>(i) * sizeof(words);
    std::memcpy(words.data(), at, sizeof(words));
    for (std::uint32_t& word : words) word = bits == 8 ? parted_bytes(word) : parted(word);
    if (high_first)
      for (std::uint32_t& word : words) word = word >> 16 | word << 16;
    std::memcpy(at, words.data(), sizeof(words));
  }
}

/// Packs a tile of codes with scales of type T. `element` is the index of the first element of the
/// tile's first row.
template <class T>
void pack_coded(const WeightDesc& desc, const WeightParts& parts, const TileLayout& layout,
                std::int64_t element, std::int64_t n_rows, std::byte* tile) {
  const std::int64_t codes_per_word = 32 / layout.bits;
  const std::int64_t words_per_group = layout.group / codes_per_word;
  const bool high_first = desc.format == WeightFormat::codebook && has_stored_table(desc);
  std::byte* codes = tile;
  std::byte* scales = tile + layout.scales_offset();
  for (std::int64_t c = 0; c < desc.cols; c += layout.group) {
    if (n_rows < kTileRows) std::memset(codes, 0, layout.codes_bytes());
    for (std::int64_t r = 0; r < n_rows; ++r) {
      const std::int64_t word = (element + r * desc.cols + c) / codes_per_word;
      for (std::int64_t i = 0; i < words_per_group; ++i)
        store_element(load_element<std::uint32_t>(parts.data.data(), word + i), codes,
                      i * kTileRows + r);
    }
    part_columns(layout.bits, high_first, words_per_group, codes);
    std::byte* to = scales;
    for (const auto& stored : {parts.scales, parts.biases})
      if (!stored.empty())
        to = pack_lanes<T>(n_rows, to, [&](std::int64_t r) {
          return load_element<T>(stored.data(), (element + r * desc.cols + c) / desc.group_size);
        });
    codes += layout.data_stride();
    scales += layout.scale_stride();
  }
  // The rest of a tile whose scales are behind all codes.
  const std::size_t used =
      layout.scales_offset() +
      static_cast<std::size_t>(layout.groups_per_row()) * layout.scale_stride();
  if (used < layout.tile_bytes()) std::memset(tile + used, 0, layout.tile_bytes() - used);
}

ScaleType scale_type_of(const WeightDesc& desc) {
  if (desc.format == WeightFormat::codebook)
    return has_stored_table(desc)             ? ScaleType::f32
           : desc.codebook == Codebook::mxfp4 ? ScaleType::e8m0
                                              : ScaleType::e4m3;
  return desc.dtype == DType::f16    ? ScaleType::f16
         : desc.dtype == DType::bf16 ? ScaleType::bf16
                                     : ScaleType::f32;
}

std::size_t size_of(ScaleType type) {
  switch (type) {
    case ScaleType::f32:
      return 4;
    case ScaleType::f16:
    case ScaleType::bf16:
      return 2;
    case ScaleType::e8m0:
    case ScaleType::e4m3:
      break;
  }
  return 1;
}

float load_scale(ScaleType type, const std::byte* from, std::int64_t index) {
  switch (type) {
    case ScaleType::f32:
      return load_element<float>(from, index);
    case ScaleType::f16:
      return load_float(DType::f16, from, index);
    case ScaleType::bf16:
      return load_float(DType::bf16, from, index);
    case ScaleType::e8m0:
      return e8m0_to_f32(load_element<std::uint8_t>(from, index));
    case ScaleType::e4m3:
      break;
  }
  return e4m3_to_f32(load_element<std::uint8_t>(from, index));
}

/// The columns of a group in a tile. A block of a codebook that extends over two rows is divided, so
/// that each row has whole groups.
std::int64_t tile_group(const WeightDesc& desc) { return std::gcd(desc.group_size, desc.cols); }

}  // namespace

std::size_t TileLayout::codes_bytes() const {
  return static_cast<std::size_t>(group * bits / 8) * kLanes;
}

std::size_t TileLayout::scales_bytes() const {
  return (format == WeightFormat::affine ? 2 : 1) * kLanes * size_of(scale_type);
}

std::size_t TileLayout::data_stride() const {
  return codes_bytes() + (has_own_scales() ? scales_bytes() : 0);
}

std::size_t TileLayout::scale_stride() const {
  return has_own_scales() ? data_stride() : scales_bytes();
}

std::size_t TileLayout::scales_offset() const {
  return has_own_scales() ? codes_bytes()
                          : codes_bytes() * static_cast<std::size_t>(groups_per_row());
}

std::size_t TileLayout::tile_bytes() const {
  if (format == WeightFormat::dense)
    return static_cast<std::size_t>(cols) * kLanes * bitaxon::size_of(dtype);
  return align_up(static_cast<std::size_t>(groups_per_row()) * (codes_bytes() + scales_bytes()),
                  kAlignment);
}

bool can_be_tiled(const WeightDesc& desc) {
  if (desc.rows < 2 || desc.cols < 2) return false;
  if (desc.format == WeightFormat::dense) return true;
  const std::int64_t group = tile_group(desc);
  if (group % 8 != 0) return false;
  if (desc.format == WeightFormat::affine) return desc.dtype == desc.bias_dtype;
  constexpr std::int64_t kLeastPartOfBlock = 32;
  if (group < std::min(desc.group_size, kLeastPartOfBlock)) return false;
  return !(desc.nested && has_stored_table(desc));
}

TileLayout tile_layout(const WeightDesc& desc) {
  return {.format = desc.format,
          .dtype = desc.dtype,
          .scale_type = scale_type_of(desc),
          .bits = desc.format == WeightFormat::affine ? desc.bits : 4,
          .n_matrices = desc.n_matrices,
          .rows = desc.rows,
          .cols = desc.cols,
          .group = desc.format == WeightFormat::dense ? 0 : tile_group(desc)};
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
    switch (layout.format == WeightFormat::dense ? bitaxon::size_of(layout.dtype)
                                                 : size_of(layout.scale_type)) {
      case 4:
        pack(std::uint32_t{});
        break;
      case 2:
        pack(std::uint16_t{});
        break;
      default:
        pack(std::uint8_t{});
    }
  }
}

float decode_tiled_element(const TileLayout& layout, const std::byte* tiles, const float* quant_map,
                           float factor, std::int64_t matrix, std::int64_t row, std::int64_t col) {
  const std::byte* tile = tiles + layout.tile_offset(matrix, row / kTileRows);
  const std::int64_t lane = row % kTileRows;
  if (layout.format == WeightFormat::dense)
    return load_float(layout.dtype, tile, col * kTileRows + lane);
  const auto group = static_cast<std::size_t>(col / layout.group);
  const std::int64_t c = col % layout.group;
  const std::int64_t codes_per_word = 32 / layout.bits;
  const auto word = load_element<std::uint32_t>(tile + group * layout.data_stride(),
                                                c / codes_per_word * kTileRows + lane);
  const auto shift = 16 * (c % 2) + layout.bits * (c % codes_per_word / 2);
  const unsigned code = word >> shift & ((1U << layout.bits) - 1U);
  const std::byte* scales = tile + layout.scales_offset() + group * layout.scale_stride();
  const float scale = load_scale(layout.scale_type, scales, lane);
  if (layout.format == WeightFormat::codebook) return quant_map[code] * (scale * factor);
  const float bias = load_scale(layout.scale_type, scales, kTileRows + lane);
  // In double, the product is exact. So the result has one rounding, as in decode().
  const double value = static_cast<double>(scale) * code + static_cast<double>(bias);
  return static_cast<float>(value) * factor;
}

}  // namespace bitaxon::cpu
