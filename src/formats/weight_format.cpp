// Decodes stored weights to float32.
//
// affine (mlx): one scale and one bias for each group of codes; 32-bit little-endian words. The
// codes of a row are one stream of bits, which begins at the lowest bit of the first word. With four
// bits:
//
//   byte of a word      0         1         2         3
//   bits              7..4 3..0 7..4 3..0 7..4 3..0 7..4 3..0
//   element             1    0    3    2    5    4    7    6       w = scale * code + bias
//
// mxfp4 and nvfp4 have their codes in the same order.
//
// nf4 and fp4 (bitsandbytes): one flat run of codes over all rows and matrices, one absmax for each
// block of the run.
//
//   byte                0         1         2
//   bits              7..4 3..0 7..4 3..0 7..4 3..0
//   element             0    1    2    3    4    5                 w = quant_map[code] * absmax
//
//   Blocks ignore row boundaries: a block may span two rows, and the last block may be short. With
//   an odd number of elements the last low nibble is unused. Nested:
//   absmax = nested_quant_map[u8] * nested_absmax[block / nested_group_size] + nested_offset.
#include "formats/weight_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <vector>

#include "bitaxon/error.h"
#include "core/assert.h"
#include "formats/float8.h"
#include "formats/float_bytes.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

using Table = std::array<float, 16>;

/// The values of E2M1 codes. Source: OCP Microscaling Formats 1.0, section 5.3.3.
constexpr Table kE2M1 = {0.0F,  0.5F,  1.0F,  1.5F,  2.0F,  3.0F,  4.0F,  6.0F,
                         -0.0F, -0.5F, -1.0F, -1.5F, -2.0F, -3.0F, -4.0F, -6.0F};

void decode_dense(const WeightDesc& desc, const std::byte* data, std::int64_t first,
                  std::span<float> out) {
  const std::byte* from = data + static_cast<std::size_t>(first) * size_of(desc.dtype);
  const auto n = static_cast<std::int64_t>(out.size());
  float* to = out.data();
  switch (desc.dtype) {
    case DType::f16:
      for (std::int64_t i = 0; i < n; ++i) to[i] = f16_to_f32(load_element<std::uint16_t>(from, i));
      break;
    case DType::bf16:
      for (std::int64_t i = 0; i < n; ++i)
        to[i] = bf16_to_f32(load_element<std::uint16_t>(from, i));
      break;
    default:
      std::memcpy(to, from, out.size_bytes());
  }
}

enum class FirstNibble { low, high };

/// Decodes elements by table: out[i] is the table's entry for the code of element first + i.
template <FirstNibble order>
void look_up(const Table& table, const std::byte* codes, std::int64_t first, std::span<float> out) {
  constexpr int kEvenShift = order == FirstNibble::low ? 0 : 4;
  constexpr int kOddShift = 4 - kEvenShift;
  const auto value = [&](unsigned byte, int shift) { return table[(byte >> shift) & 15u]; };
  const std::byte* from = codes + first / 2;
  float* to = out.data();
  std::size_t left = out.size();
  if (first % 2 != 0 && left > 0) {
    *to++ = value(std::to_integer<unsigned>(*from++), kOddShift);
    --left;
  }
  // Reads four bytes at a time, which halves the run time. gcc does not unroll the loop by itself.
  for (; left >= 8; left -= 8, to += 8, from += 4) {
    const auto word = load_element<std::uint32_t>(from, 0);
    for (int i = 0; i < 4; ++i) {
      to[2 * i] = value(word, 8 * i + kEvenShift);
      to[2 * i + 1] = value(word, 8 * i + kOddShift);
    }
  }
  for (; left >= 2; left -= 2, to += 2, ++from) {
    to[0] = value(std::to_integer<unsigned>(*from), kEvenShift);
    to[1] = value(std::to_integer<unsigned>(*from), kOddShift);
  }
  if (left > 0) *to = value(std::to_integer<unsigned>(*from), kEvenShift);
}

/// Calls decode_run(group, first, run of out) for each maximal run of elements in one group.
template <typename DecodeRun>
void for_each_group(std::int64_t group_size, std::int64_t first, std::span<float> out,
                    DecodeRun&& decode_run) {
  std::int64_t group = first / group_size;
  std::int64_t left_in_group = group_size - first % group_size;
  while (!out.empty()) {
    const auto run =
        static_cast<std::size_t>(std::min(left_in_group, static_cast<std::int64_t>(out.size())));
    decode_run(group, first, out.first(run));
    out = out.subspan(run);
    first += static_cast<std::int64_t>(run);
    ++group;
    left_in_group = group_size;
  }
}

/// The code of element i in a stream of codes of 1 to 8 bits.
unsigned code_at(const std::byte* codes, int bits, std::int64_t i) {
  const auto at = static_cast<std::uint64_t>(i) * static_cast<std::uint64_t>(bits);
  const std::byte* from = codes + at / 8;
  const auto shift = static_cast<int>(at % 8);
  unsigned both = std::to_integer<unsigned>(from[0]);
  // The next byte is read only if it has bits of the code, because it may not exist.
  if (shift + bits > 8) both |= std::to_integer<unsigned>(from[1]) << 8;
  return both >> shift & ((1U << bits) - 1U);
}

void decode_affine(const WeightDesc& desc, const WeightParts& parts, std::int64_t first,
                   std::span<float> out) {
  // No group spans two rows, because cols is a multiple of the group size. So codes, scales and
  // biases can be treated as flat arrays.
  for_each_group(
      desc.group_size, first, out, [&](std::int64_t group, std::int64_t at, std::span<float> run) {
        const double scale = load_float(desc.dtype, parts.scales.data(), group);
        const double bias = load_float(desc.bias_dtype, parts.biases.data(), group);
        // In double the product of a 24-bit and an 8-bit number is exact. So usually
        // only the final conversion to float rounds. If the bias is less than 2^-45 of
        // the scale, the sum in double may be rounded too.
        const auto value = [&](unsigned code) {
          return static_cast<float>(scale * static_cast<double>(code) + bias);
        };
        if (desc.bits == 4) {
          Table table;
          for (unsigned code = 0; code < table.size(); ++code) table[code] = value(code);
          look_up<FirstNibble::low>(table, parts.data.data(), at, run);
        } else {
          for (std::size_t i = 0; i < run.size(); ++i)
            run[i] =
                value(code_at(parts.data.data(), desc.bits, at + static_cast<std::int64_t>(i)));
        }
        if (desc.factor != 1)
          for (float& weight : run) weight *= desc.factor;
      });
}

void decode_codebook(const WeightDesc& desc, const WeightParts& parts, std::int64_t first,
                     std::span<float> out) {
  const Table map = codebook_values(desc, parts);
  for_each_group(desc.group_size, first, out,
                 [&](std::int64_t block, std::int64_t at, std::span<float> run) {
                   const float scale = block_scale(desc, parts, block);
                   Table table;
                   for (std::size_t code = 0; code < table.size(); ++code)
                     table[code] = map[code] * scale;
                   if (has_stored_table(desc))
                     look_up<FirstNibble::high>(table, parts.data.data(), at, run);
                   else
                     look_up<FirstNibble::low>(table, parts.data.data(), at, run);
                 });
}

void decode_mxfp8(const WeightDesc& desc, const WeightParts& parts, std::int64_t first,
                  std::span<float> out) {
  for_each_group(
      desc.group_size, first, out, [&](std::int64_t group, std::int64_t at, std::span<float> run) {
        const float scale = e8m0_to_f32(load_element<std::uint8_t>(parts.scales.data(), group));
        for (float& weight : run)
          weight = e4m3_to_f32(load_element<std::uint8_t>(parts.data.data(), at++)) * scale;
      });
}

void decode_int8(const WeightDesc& desc, const WeightParts& parts, std::int64_t first,
                 std::span<float> out) {
  for_each_group(desc.cols, first, out,
                 [&](std::int64_t row, std::int64_t at, std::span<float> run) {
                   const auto scale = load_element<float>(parts.scales.data(), row);
                   for (float& weight : run) {
                     const auto code = load_element<std::int8_t>(parts.data.data(), at++);
                     weight = static_cast<float>(code) * scale * kInt8Factor;
                   }
                 });
}

std::uint64_t divide_up(std::uint64_t a, std::int64_t b) {
  return a / static_cast<std::uint64_t>(b) + (a % static_cast<std::uint64_t>(b) != 0 ? 1 : 0);
}

[[noreturn]] void fail(const WeightDesc& desc, std::string_view what) {
  throw Error(ErrorKind::invalid_argument,
              fmt::format("[decode] \"{}\": {}", printable(desc.name), what));
}

/// Checks the arguments of decode(), so that it cannot read past the end of the caller's buffers.
void check_arguments(const WeightDesc& desc, const WeightParts& parts, std::int64_t first,
                     std::size_t n) {
  const std::int64_t elements = desc.elements();
  if (first < 0 || first > elements || n > static_cast<std::uint64_t>(elements - first))
    fail(desc, fmt::format("expected elements within [0, {}), got {} from {}", elements, n, first));
  const bool floats = is_float(desc.dtype) && is_float(desc.bias_dtype);
  const bool has_type = desc.format == WeightFormat::dense || desc.format == WeightFormat::affine;
  if (has_type && !floats)
    fail(desc, fmt::format("expected F32, F16 or BF16, got {} (biases {})", name_of(desc.dtype),
                           name_of(desc.bias_dtype)));
  if (desc.format != WeightFormat::dense && desc.group_size < 1)
    fail(desc, fmt::format("expected a group size of at least 1, got {}", desc.group_size));
  if (desc.format == WeightFormat::affine && (desc.bits < 1 || desc.bits > 8))
    fail(desc, fmt::format("expected codes of 1 to 8 bits, got {}", desc.bits));
  if (desc.nested && desc.nested_group_size < 1)
    fail(desc,
         fmt::format("expected a nested group size of at least 1, got {}", desc.nested_group_size));
  const PartBytes bytes = part_bytes(desc);
  if (parts.data.size() < bytes.data || parts.scales.size() < bytes.scales ||
      parts.biases.size() < bytes.biases || parts.quant_map.size() < bytes.quant_map ||
      parts.nested_scales.size() < bytes.nested_scales ||
      parts.nested_quant_map.size() < bytes.nested_quant_map)
    fail(desc, "a part holds fewer bytes than the format needs");
}

}  // namespace

Shape with_last(const Shape& shape, std::int64_t extent) {
  BX_ASSERT(shape.rank() > 0, "a shape without extents has no last extent");
  std::vector<std::int64_t> dims(shape.dims().begin(), shape.dims().end());
  dims.back() = extent;
  return Shape(std::span<const std::int64_t>(dims));
}

bool has_stored_table(const WeightDesc& desc) {
  return desc.codebook == Codebook::nf4 || desc.codebook == Codebook::fp4;
}

std::array<float, 16> codebook_values(const WeightDesc& desc, const WeightParts& parts) {
  if (!has_stored_table(desc)) return kE2M1;
  Table map;
  std::memcpy(map.data(), parts.quant_map.data(), sizeof(map));
  return map;
}

float nested_scale(const WeightDesc& desc, const WeightParts& parts, std::int64_t index) {
  const float scale = load_element<float>(parts.nested_scales.data(), index);
  // The stored scale of an nvfp4 matrix is its largest magnitude. 2688 is the largest product of a
  // scale, 448, and a value, 6.
  return has_stored_table(desc) ? scale : scale / 2688.0F;
}

float block_scale(const WeightDesc& desc, const WeightParts& parts, std::int64_t block) {
  const bool stored_table = has_stored_table(desc);
  if (stored_table && !desc.nested) return load_element<float>(parts.scales.data(), block);
  const auto code = load_element<std::uint8_t>(parts.scales.data(), block);
  if (desc.codebook == Codebook::mxfp4) return e8m0_to_f32(code);
  if (desc.codebook == Codebook::nvfp4 && !desc.nested) return e4m3_to_f32(code);
  const float scale = nested_scale(desc, parts, block / desc.nested_group_size);
  if (!stored_table) return e4m3_to_f32(code) * scale;
  // Rounds the product and then the sum to float, as bitsandbytes does. The product is computed in
  // double, where it is exact. This prevents the compiler from fusing product and sum, which would
  // round only once.
  const double product =
      static_cast<double>(load_element<float>(parts.nested_quant_map.data(), code)) * scale;
  return static_cast<float>(product) + desc.nested_offset;
}

PartBytes part_bytes(const WeightDesc& desc) {
  const auto n = static_cast<std::uint64_t>(desc.elements());
  const auto rows = static_cast<std::uint64_t>(desc.n_matrices * desc.rows);
  const std::uint64_t groups = desc.group_size > 0 ? divide_up(n, desc.group_size) : 0;
  switch (desc.format) {
    case WeightFormat::dense:
      return {.data = n * size_of(desc.dtype)};
    case WeightFormat::affine: {
      const auto bits = static_cast<std::uint64_t>(desc.bits);
      return {.data = n / 8 * bits + divide_up(n % 8 * bits, 8),
              .scales = groups * size_of(desc.dtype),
              .biases = groups * size_of(desc.bias_dtype)};
    }
    case WeightFormat::mxfp8:
      return {.data = n, .scales = groups};
    case WeightFormat::int8:
      return {.data = n, .scales = rows * sizeof(float)};
    case WeightFormat::codebook:
      break;
  }
  const bool stored_table = has_stored_table(desc);
  PartBytes bytes = {.data = divide_up(n, 2),
                     .scales = groups * (desc.nested || !stored_table ? 1 : sizeof(float))};
  if (stored_table) bytes.quant_map = 16 * sizeof(float);
  if (desc.nested) bytes.nested_scales = divide_up(groups, desc.nested_group_size) * sizeof(float);
  if (desc.nested && stored_table) bytes.nested_quant_map = 256 * sizeof(float);
  return bytes;
}

std::uint64_t WeightDesc::stored_bytes() const {
  const PartBytes bytes = part_bytes(*this);
  return bytes.data + bytes.scales + bytes.biases + bytes.quant_map + bytes.nested_scales +
         bytes.nested_quant_map;
}

void decode(const WeightDesc& desc, const WeightParts& parts, std::int64_t first,
            std::span<float> out) {
  check_arguments(desc, parts, first, out.size());
  if (out.empty()) return;
  switch (desc.format) {
    case WeightFormat::dense:
      return decode_dense(desc, parts.data.data(), first, out);
    case WeightFormat::affine:
      return decode_affine(desc, parts, first, out);
    case WeightFormat::codebook:
      return decode_codebook(desc, parts, first, out);
    case WeightFormat::mxfp8:
      return decode_mxfp8(desc, parts, first, out);
    case WeightFormat::int8:
      return decode_int8(desc, parts, first, out);
  }
}

std::string_view name_of(Codebook codebook) {
  constexpr std::string_view kNames[] = {"nf4", "fp4", "mxfp4", "nvfp4"};
  return kNames[static_cast<std::size_t>(codebook)];
}

std::string WeightDesc::format_name() const {
  switch (format) {
    case WeightFormat::affine:
      return fmt::format("q{}_affine_g{}", bits, group_size);
    case WeightFormat::codebook:
      return fmt::format("{}_g{}{}", name_of(codebook), group_size, nested ? "_nested" : "");
    case WeightFormat::mxfp8:
      return fmt::format("mxfp8_g{}", group_size);
    case WeightFormat::int8:
      return "int8";
    case WeightFormat::dense:
      break;
  }
  return dtype == DType::f16 ? "f16" : dtype == DType::bf16 ? "bf16" : "f32";
}

}  // namespace bitaxon
