#include "cpu/packed_weight.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/align.h"
#include "core/assert.h"
#include "cpu/memory.h"

namespace bitaxon::cpu {
namespace {

/// Dense matrices with at most this many columns are stored by columns.
constexpr std::int64_t kNarrow = 32;

enum class Form { stored, tiles, columns };

Form form_of(const WeightDesc& desc, bool plain) {
  if (plain) return Form::stored;
  const bool narrow = desc.rows == 1 || desc.cols <= kNarrow;
  if (desc.format == WeightFormat::dense && desc.n_matrices == 1 && narrow) return Form::columns;
  return can_be_tiled(desc) ? Form::tiles : Form::stored;
}

std::array<std::size_t, 6> part_sizes(const PartBytes& bytes) {
  return {bytes.data,      bytes.scales,        bytes.biases,
          bytes.quant_map, bytes.nested_scales, bytes.nested_quant_map};
}

void copy_parts(const WeightParts& from, PackedWeight& to) {
  const std::span<const std::byte> sources[] = {from.data,          from.scales,
                                                from.biases,        from.quant_map,
                                                from.nested_scales, from.nested_quant_map};
  std::span<const std::byte>* targets[] = {&to.parts.data,          &to.parts.scales,
                                           &to.parts.biases,        &to.parts.quant_map,
                                           &to.parts.nested_scales, &to.parts.nested_quant_map};
  const auto sizes = part_sizes(part_bytes(to.desc));
  std::byte* place = to.storage.get();
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] == 0) continue;
    BX_ASSERT(sources[i].size() >= sizes[i], "a part holds what its format needs");
    std::memcpy(place, sources[i].data(), sizes[i]);
    *targets[i] = {place, sizes[i]};
    place += align_up(sizes[i], kAlignment);
  }
}

void copy_columns(const WeightParts& from, PackedWeight& to) {
  auto* columns = reinterpret_cast<float*>(to.storage.get());
  const std::int64_t cols = to.desc.cols;
  std::array<float, 4096> some;  // some decoded elements; an array, to avoid an allocation
  const auto n = static_cast<std::int64_t>(some.size());
  for (std::int64_t first = 0; first < to.desc.elements(); first += n) {
    const std::int64_t count = std::min(n, to.desc.elements() - first);
    decode(to.desc, from, first, {some.data(), static_cast<std::size_t>(count)});
    for (std::int64_t i = 0; i < count; ++i)
      columns[(first + i) % cols * to.desc.rows + (first + i) / cols] =
          some[static_cast<std::size_t>(i)];
  }
  to.columns = columns;
}

/// The largest integer that stands for a value of the codebook. If all values are multiples of one
/// number, as those of 4-bit floats are, an integer with which all values are exact.
int range_of(const std::array<float, 16>& map, float largest) {
  for (int range = kMaxTableInteger; range > kMaxTableInteger / 2; --range) {
    const auto is_whole = [&](float value) {
      const double scaled = static_cast<double>(value) / largest * range;
      return std::abs(scaled - std::round(scaled)) < 1e-3;
    };
    if (std::ranges::all_of(map, is_whole)) return range;
  }
  return kMaxTableInteger;
}

void read_codebook(const WeightParts& from, PackedWeight& to) {
  to.quant_map = codebook_values(to.desc, from);
  float largest = 0;
  for (const float value : to.quant_map) {
    // If a value is not finite, the scale becomes NaN, so that all products with the weight are
    // NaN. Rows of activations are coded in the same way.
    if (!std::isfinite(value)) {
      to.map_scale = std::numeric_limits<float>::quiet_NaN();
      return;
    }
    largest = std::max(largest, std::abs(value));
  }
  to.map_scale = largest > 0 ? largest / static_cast<float>(range_of(to.quant_map, largest)) : 1;
  for (std::size_t i = 0; i < to.quant_map.size(); ++i)
    to.integer_map[i] = static_cast<std::int16_t>(std::lround(to.quant_map[i] / to.map_scale));
}

/// The factors of the matrices. For nvfp4, a stored scale of 1 gives 1.
std::vector<float> factors_of(const WeightDesc& desc, const WeightParts& parts) {
  if (desc.format == WeightFormat::affine) return {desc.factor};
  if (desc.codebook != Codebook::nvfp4 || !desc.nested) return {1};
  std::vector<float> factors;
  for (std::int64_t matrix = 0; matrix < desc.n_matrices; ++matrix)
    factors.push_back(nested_scale(desc, parts, matrix));
  return factors;
}

}  // namespace

std::uint64_t packed_bytes(const WeightDesc& desc, bool plain) {
  switch (form_of(desc, plain)) {
    case Form::tiles:
      return tile_layout(desc).size_bytes();
    case Form::columns:
      return static_cast<std::uint64_t>(desc.elements()) * sizeof(float);
    case Form::stored:
      break;
  }
  std::uint64_t total = 0;
  for (const std::size_t part : part_sizes(part_bytes(desc))) total += align_up(part, kAlignment);
  return total;
}

std::shared_ptr<const PackedWeight> pack_weight(const WeightDesc& desc, const WeightParts& parts,
                                                bool plain, ThreadPool& pool) {
  auto packed = std::make_shared<PackedWeight>();
  packed->desc = desc;
  const std::uint64_t size_bytes = packed_bytes(desc, plain);
  packed->storage = allocate_lasting(size_bytes, desc.name);
  switch (form_of(desc, plain)) {
    case Form::stored:
      copy_parts(parts, *packed);
      break;
    case Form::columns:
      copy_columns(parts, *packed);
      break;
    case Form::tiles:
      packed->layout = tile_layout(desc);
      pool.parallel_for(desc.n_matrices * packed->layout->tiles_per_matrix(), kTileRows * desc.cols,
                        [&](std::int64_t first, std::int64_t last, int) {
                          pack_tiles(desc, parts, *packed->layout, first, last,
                                     {packed->storage.get(), size_bytes});
                        });
      packed->tiles = packed->storage.get();
      if (desc.format == WeightFormat::codebook) read_codebook(parts, *packed);
      packed->factors = factors_of(desc, parts);
      break;
  }
  return packed;
}

void decode_row(const PackedWeight& weight, std::int64_t matrix, std::int64_t row, float* out) {
  const WeightDesc& desc = weight.desc;
  if (weight.layout) {
    for (std::int64_t c = 0; c < desc.cols; ++c)
      out[c] = decode_tiled_element(*weight.layout, weight.tiles, weight.quant_map.data(),
                                    weight.factor(matrix), matrix, row, c);
  } else if (weight.columns != nullptr) {
    for (std::int64_t c = 0; c < desc.cols; ++c) out[c] = weight.columns[c * desc.rows + row];
  } else {
    decode(desc, weight.parts, (matrix * desc.rows + row) * desc.cols,
           {out, static_cast<std::size_t>(desc.cols)});
  }
}

float decode_element(const PackedWeight& weight, std::int64_t row, std::int64_t col) {
  const WeightDesc& desc = weight.desc;
  if (weight.columns != nullptr) return weight.columns[col * desc.rows + row];
  if (weight.layout)
    return decode_tiled_element(*weight.layout, weight.tiles, weight.quant_map.data(),
                                weight.factor(0), 0, row, col);
  float value = 0;
  decode(desc, weight.parts, row * desc.cols + col, {&value, 1});
  return value;
}

void decode_all(const PackedWeight& weight, float* out) {
  const WeightDesc& desc = weight.desc;
  for (std::int64_t row = 0; row < desc.n_matrices * desc.rows; ++row)
    decode_row(weight, row / desc.rows, row % desc.rows, out + row * desc.cols);
}

}  // namespace bitaxon::cpu
