#include "vulkan/memory/packed_weight.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>

#include "bitaxon/error.h"
#include "core/align.h"
#include "core/assert.h"
#include "formats/float8.h"
#include "formats/float_bytes.h"
#include "platform/printable.h"
#include "vulkan/run/launch.h"

namespace bitaxon::vulkan {
namespace {

constexpr std::size_t kPartAlignment = 16;
/// Sizes of the tables of a codebook, in 32-bit words. kCodebookWords counts the codebook and
/// the four words between the codebook and the nested map. See shaders/lib/weight.glsl.
constexpr std::int64_t kCodebookWords = 20;
constexpr std::int64_t kNestedMapWords = 256;

bool is_vector(const WeightDesc& desc) { return desc.n_matrices == 1 && desc.rows == 1; }

std::uint32_t dtype_bits(DType dtype) {
  switch (dtype) {
    case DType::f16:
      return BX_F16;
    case DType::bf16:
      return BX_BF16;
    default:
      BX_ASSERT(dtype == DType::f32, "weights are of floats");
      return BX_F32;
  }
}

std::int64_t groups_of(const WeightDesc& desc) {
  return divide_up(desc.elements(), desc.group_size);
}

/// The largest group size. The form of a weight has 23 bits for the group size.
constexpr std::int64_t kMaxGroupSize = (1 << 23) - 1;

/// The group size that shaders use. A group size above kMaxGroupSize is replaced by a smaller one
/// with which a single group still covers the whole weight. Throws if the weight is too large for
/// this.
std::int64_t group_size_of(const WeightDesc& desc) {
  if (desc.group_size <= kMaxGroupSize) return desc.group_size;
  const auto enough = std::max<std::int64_t>(
      32, static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(desc.elements()))));
  if (enough <= kMaxGroupSize) return enough;
  throw Error(ErrorKind::unsupported,
              fmt::format("vulkan: tensor \"{}\": expected blocks of at most {} elements, got {}",
                          printable(desc.name), kMaxGroupSize, desc.group_size));
}

/// The type of the scales and the biases of a packed affine weight. If they are stored in different
/// types, or if a factor changes them, both become float32.
DType pair_dtype_of(const WeightDesc& desc) {
  return desc.dtype == desc.bias_dtype && desc.factor == 1 ? desc.dtype : DType::f32;
}

/// The size of a code.
int bits_of(const WeightDesc& desc) { return desc.format == WeightFormat::affine ? desc.bits : 4; }

/// Whether the scales of a codebook are codes of 8 bits, which index a table. mxfp4 and nvfp4 have
/// such scales too: their table holds the 256 floats of 8 bits.
bool has_scale_table(const WeightDesc& desc) { return desc.nested || !has_stored_table(desc); }

/// The number of F32 scales that follow the table of 8-bit scales.
std::int64_t nested_scales_of(const WeightDesc& desc) {
  return desc.nested ? divide_up(groups_of(desc), desc.nested_group_size) : 1;
}

std::uint32_t form_of(const WeightDesc& desc) {
  const bool coded = desc.format != WeightFormat::dense;
  const std::int64_t elements_per_quad =
      coded ? 128 / bits_of(desc) : static_cast<std::int64_t>(16 / size_of(desc.dtype));
  const bool aligned =
      desc.cols % elements_per_quad == 0 && (!coded || group_size_of(desc) % 16 == 0) &&
      (desc.format != WeightFormat::affine || desc.cols % group_size_of(desc) == 0);
  std::uint32_t form = aligned ? 1U << 8 : 0U;
  switch (desc.format) {
    case WeightFormat::dense:
      return form | dtype_bits(desc.dtype);
    case WeightFormat::affine:
      form |= (desc.bits == 8 ? BX_Q8 : BX_Q4) | dtype_bits(pair_dtype_of(desc)) << 3;
      break;
    case WeightFormat::mxfp8:
    case WeightFormat::int8:
      BX_ASSERT(false, "weights of these formats are loaded in another form");
      break;
    case WeightFormat::codebook:
      form |= BX_NF4 | (has_scale_table(desc) ? 1U << 7 : 0U);
      break;
  }
  return form | static_cast<std::uint32_t>(coded ? group_size_of(desc) : 0) << 9;
}

/// Writes to `to` the bytes of `part` that lie in [offset, offset + to.size()) of the packed
/// weight. `from` is the content of the part.
template <class Transform>
void write_part(const PackedPart& part, std::span<const std::byte> from, std::size_t offset,
                std::span<std::byte> to, const Transform& transform) {
  const std::size_t begin = std::max(part.offset_bytes, offset);
  const std::size_t end =
      std::min(part.offset_bytes + std::min(part.size_bytes, from.size()), offset + to.size());
  if (begin >= end) return;
  transform(from.subspan(begin - part.offset_bytes, end - begin), to.subspan(begin - offset));
}

void copy_bytes(std::span<const std::byte> from, std::span<std::byte> to) {
  std::memcpy(to.data(), from.data(), from.size());
}

/// Swaps the two codes in each byte. bitsandbytes stores the first code in the high half of
/// the byte, but shaders expect it in the low half.
void swap_nibbles(std::span<const std::byte> from, std::span<std::byte> to) {
  for (std::size_t i = 0; i < from.size(); ++i) to[i] = from[i] << 4 | from[i] >> 4;
}

/// Writes the scales and the biases of an affine weight: each scale is followed by the bias of its
/// group. Shaders know no factor, so the pairs contain it. That product rounds, so a value may
/// differ in its last bit.
void write_pairs(const WeightDesc& desc, const WeightParts& parts, const PackedPart& part,
                 std::size_t offset, std::span<std::byte> to) {
  const DType dtype = pair_dtype_of(desc);
  const std::size_t float_bytes = size_of(dtype);
  const std::size_t begin = std::max(part.offset_bytes, offset);
  const std::size_t end = std::min(part.offset_bytes + part.size_bytes, offset + to.size());
  for (std::size_t at = begin; at < end; at += 2 * float_bytes) {
    const auto group = static_cast<std::int64_t>((at - part.offset_bytes) / (2 * float_bytes));
    const float scale = load_float(desc.dtype, parts.scales.data(), group) * desc.factor;
    const float bias = load_float(desc.bias_dtype, parts.biases.data(), group) * desc.factor;
    std::byte* pair = to.data() + (at - offset);
    store_float(dtype, scale, pair, 0);
    store_float(dtype, bias, pair, 1);
  }
}

/// The float for each 8-bit code of a scale.
float scale_table_value(const WeightDesc& desc, const WeightParts& parts, int code) {
  if (has_stored_table(desc)) return load_element<float>(parts.nested_quant_map.data(), code);
  const auto bits = static_cast<std::uint8_t>(code);
  return desc.codebook == Codebook::mxfp4 ? e8m0_to_f32(bits) : e4m3_to_f32(bits);
}

/// The tables of a weight with a codebook: shaders/lib/weight.glsl describes them.
std::vector<std::byte> tables_of(const WeightDesc& desc, const WeightParts& parts,
                                 std::size_t size_bytes) {
  std::vector<std::byte> tables(size_bytes);
  const std::array<float, 16> codebook = codebook_values(desc, parts);
  std::memcpy(tables.data(), codebook.data(), sizeof(codebook));
  if (!has_scale_table(desc)) return tables;
  const auto per_scale =
      desc.nested ? static_cast<std::uint32_t>(desc.nested_group_size) : UINT32_MAX;
  std::memcpy(tables.data() + 64, &desc.nested_offset, 4);
  std::memcpy(tables.data() + 68, &per_scale, 4);
  for (int code = 0; code < kNestedMapWords; ++code)
    store_element(scale_table_value(desc, parts, code), tables.data(), kCodebookWords + code);
  for (std::int64_t i = 0; i < nested_scales_of(desc); ++i)
    store_element(desc.nested ? nested_scale(desc, parts, i) : 1.0F, tables.data(),
                  kCodebookWords + kNestedMapWords + i);
  return tables;
}

}  // namespace

PackedLayout packed_layout(const WeightDesc& desc) {
  PackedLayout layout;
  const auto place = [&](std::int64_t size_bytes) {
    const PackedPart part{layout.size_bytes, static_cast<std::size_t>(size_bytes)};
    layout.size_bytes = align_up(layout.size_bytes + part.size_bytes, kPartAlignment);
    return part;
  };
  if (is_vector(desc)) {
    layout.form = BX_F32;
    layout.data = place(desc.elements() * 4);
    return layout;
  }
  layout.form = form_of(desc);
  switch (desc.format) {
    case WeightFormat::dense:
      layout.data = place(desc.elements() * static_cast<std::int64_t>(size_of(desc.dtype)));
      break;
    case WeightFormat::affine:
      BX_ASSERT(desc.bits == 4 || desc.bits == 8, "other codes are loaded as codes of 4 or 8 bits");
      layout.data = place(divide_up(desc.elements() * desc.bits, 8));
      layout.scales =
          place(2 * groups_of(desc) * static_cast<std::int64_t>(size_of(pair_dtype_of(desc))));
      break;
    case WeightFormat::mxfp8:
    case WeightFormat::int8:
      break;  // form_of() has refused them
    case WeightFormat::codebook: {
      layout.data = place(divide_up(desc.elements(), 2));
      layout.scales = place(groups_of(desc) * (has_scale_table(desc) ? 1 : 4));
      std::int64_t words = kCodebookWords;
      if (has_scale_table(desc)) words += kNestedMapWords + nested_scales_of(desc);
      layout.tables = place(words * 4);
      break;
    }
  }
  return layout;
}

void write_packed(const WeightDesc& desc, const WeightParts& parts, const PackedLayout& layout,
                  std::size_t offset, std::span<std::byte> to) {
  BX_ASSERT(offset % kPartAlignment == 0, "pieces of a packed weight begin at multiples of 16");
  std::memset(to.data(), 0, to.size());
  if (is_vector(desc)) {
    const std::size_t end = std::min(layout.data.size_bytes, offset + to.size());
    if (offset >= end) return;
    std::vector<float> values((end - offset) / 4);
    decode(desc, parts, static_cast<std::int64_t>(offset / 4), values);
    std::memcpy(to.data(), values.data(), end - offset);
    return;
  }
  const bool swaps = desc.format == WeightFormat::codebook && has_stored_table(desc);
  if (swaps)
    write_part(layout.data, parts.data, offset, to, swap_nibbles);
  else
    write_part(layout.data, parts.data, offset, to, copy_bytes);
  if (desc.format == WeightFormat::affine) {
    write_pairs(desc, parts, layout.scales, offset, to);
  } else if (desc.format == WeightFormat::codebook) {
    write_part(layout.scales, parts.scales, offset, to, copy_bytes);
    const auto tables = tables_of(desc, parts, layout.tables.size_bytes);
    write_part(layout.tables, tables, offset, to, copy_bytes);
  }
}

std::shared_ptr<const Weight> make_weight(const WeightDesc& desc,
                                          std::shared_ptr<DeviceBuffer> memory) {
  const PackedLayout layout = packed_layout(desc);
  const auto units = [](const PackedPart& part) {
    return to_uint(static_cast<std::int64_t>(part.offset_bytes / 16));
  };
  auto packed = std::make_shared<PackedWeight>();
  packed->desc = desc;
  packed->form = layout.form;
  if (memory != nullptr)
    packed->address = {.data = {static_cast<std::uint32_t>(memory->address()),
                                static_cast<std::uint32_t>(memory->address() >> 32)},
                       .scales = units(layout.scales),
                       .tables = units(layout.tables)};
  packed->memory = std::move(memory);
  auto weight = std::make_shared<Weight>();
  weight->name = desc.name;
  weight->shape = {desc.n_matrices, desc.rows, desc.cols};
  weight->format = desc.format_name();
  weight->stored_bytes = desc.stored_bytes();
  weight->packed_bytes = layout.size_bytes;
  weight->packed = std::move(packed);
  return weight;
}

}  // namespace bitaxon::vulkan
