// The weights of op cases: random values in every format.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "cases/op_case.h"
#include "cases/stored_floats.h"
#include "core/assert.h"
#include "formats/nf4_codebook.h"

namespace bitaxon::test {

std::string_view name_of(Format format) {
  constexpr std::string_view kNames[] = {"f32",     "f16",     "bf16",        "q4_g32",  "q4_g64",
                                         "q4_g128", "nf4_g64", "nf4_nested",  "nf4_g8",  "nf4_g24",
                                         "q8_g32",  "q8_g64",  "q8_g128",     "q8_rows", "fp4_g64",
                                         "mxfp4",   "nvfp4",   "nvfp4_nested"};
  return kNames[static_cast<std::size_t>(format)];
}

std::int64_t column_unit(Format format) {
  switch (format) {
    case Format::q4_g128:
    case Format::q8_g128:
      return 128;
    case Format::q4_g64:
    case Format::q8_g64:
      return 64;
    case Format::q4_g32:
    case Format::q8_g32:
    case Format::mxfp4:
      return 32;
    case Format::nvfp4:
    case Format::nvfp4_nested:
      return 16;
    default:
      return 1;
  }
}

WeightParts CaseWeight::parts() const {
  return {data, scales, biases, quant_map, nested_scales, nested_quant_map};
}

namespace {

using Bytes = std::vector<std::byte>;

DType dtype_of(Format format) {
  return format == Format::f16 ? DType::f16 : format == Format::bf16 ? DType::bf16 : DType::f32;
}

Bytes random_bytes(Random& random, std::int64_t n) {
  Bytes bytes(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < bytes.size(); i += 8) {
    const std::uint64_t word = random.next();
    std::memcpy(bytes.data() + i, &word, std::min<std::size_t>(8, bytes.size() - i));
  }
  return bytes;
}

std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

void make_affine(CaseWeight& weight, Random& random, double spread) {
  WeightDesc& desc = weight.desc;
  desc.format = WeightFormat::affine;
  // Real files have positive and negative scales. In a real file the scales and the biases may both
  // have 16 bits.
  desc.dtype = desc.bias_dtype = desc.group_size == 64 ? DType::f16 : DType::f32;
  const std::int64_t n = desc.elements();
  BX_ASSERT(desc.cols % desc.group_size == 0, "affine groups end with the row");
  const double unit = desc.bits == 8 ? 1.0 / 16 : 1;  // the codes of 8 bits are 16 times as large
  weight.data = random_bytes(random, n * desc.bits / 8);
  std::vector<float> scales(static_cast<std::size_t>(n / desc.group_size));
  for (float& scale : scales)
    scale = static_cast<float>((random.below(2) == 0 ? 1 : -1) * random.uniform(0.5, 1.5) * spread *
                               unit / 4.6);
  const auto scale = [&](std::int64_t i) { return scales[static_cast<std::size_t>(i)]; };
  weight.scales = stored_floats(desc.dtype, n / desc.group_size, scale);
  weight.biases = stored_floats(desc.bias_dtype, n / desc.group_size, [&](std::int64_t i) {
    return scale(i) * static_cast<float>(random.uniform(-8, -7) / unit);
  });
}

/// The form that load_weight() gives to int8 weights.
void make_rows_of_8_bits(CaseWeight& weight, Random& random, double spread) {
  WeightDesc& desc = weight.desc;
  desc.format = WeightFormat::affine;
  desc.bits = 8;
  desc.factor = kInt8Factor;
  desc.group_size = desc.cols;
  weight.data = random_bytes(random, desc.elements());
  std::vector<float> scales(static_cast<std::size_t>(desc.n_matrices * desc.rows));
  for (float& scale : scales) scale = static_cast<float>(random.uniform(1, 3) * spread);
  const auto scale = [&](std::int64_t i) { return scales[static_cast<std::size_t>(i)]; };
  weight.scales = stored_floats(DType::f32, std::ssize(scales), scale);
  weight.biases = stored_floats(DType::f32, std::ssize(scales),
                                [&](std::int64_t i) { return -128.0F * scale(i); });
}

/// 4-bit floats with scales of 8 bits, which are about spread / 2.5.
void make_fp4_of_mlx(CaseWeight& weight, Random& random, double spread, Codebook codebook,
                     bool nested) {
  WeightDesc& desc = weight.desc;
  desc.format = WeightFormat::codebook;
  desc.codebook = codebook;
  desc.group_size = codebook == Codebook::mxfp4 ? 32 : 16;
  desc.nested = nested;
  BX_ASSERT(desc.cols % desc.group_size == 0, "groups end with the row");
  const std::int64_t n = desc.elements();
  weight.data = random_bytes(random, n / 2);
  weight.scales = random_bytes(random, n / desc.group_size);
  const int exponent = std::ilogb(spread / 2.5);
  for (std::byte& scale : weight.scales) {
    const auto random_part = std::to_integer<int>(scale);
    scale = static_cast<std::byte>(codebook == Codebook::mxfp4
                                       ? std::clamp(127 + exponent - random_part % 2, 0, 254)
                                       : std::clamp(7 + exponent - random_part % 2, 0, 14) * 8 +
                                             random_part / 32);
  }
  if (!nested) return;
  desc.nested_group_size = desc.rows * desc.cols / desc.group_size;
  weight.nested_scales = stored_floats(DType::f32, desc.n_matrices, [&](std::int64_t) {
    return static_cast<float>(random.uniform(0.5, 2) * 2688);
  });
}

void make_nf4(CaseWeight& weight, Random& random, double spread) {
  WeightDesc& desc = weight.desc;
  desc.format = WeightFormat::codebook;
  const std::int64_t n = desc.elements();
  const std::int64_t n_blocks = divide_up(n, desc.group_size);
  weight.data = random_bytes(random, divide_up(n, 2));
  constexpr std::array<float, 8> kFp4 = {0, 1 / 192.F, 2 / 3.F, 1, 1 / 3.F, 0.5F, 1 / 6.F, 0.25F};
  weight.quant_map = stored_floats(DType::f32, 16, [&](std::int64_t i) {
    const auto code = static_cast<std::size_t>(i);
    if (desc.codebook == Codebook::nf4) return kNf4Codebook[code];
    return code < 8 ? kFp4[code] : -kFp4[code - 8];
  });
  if (!desc.nested) {
    weight.scales = stored_floats(DType::f32, n_blocks, [&](std::int64_t) {
      return static_cast<float>(random.uniform(1, 3) * spread);
    });
    return;
  }
  // The nested groups are small, so that even a small matrix has several nested scales.
  desc.nested_group_size = 4;
  desc.nested_offset = static_cast<float>(2 * spread);
  weight.scales = random_bytes(random, n_blocks);
  weight.nested_quant_map = stored_floats(
      DType::f32, 256, [](std::int64_t i) { return static_cast<float>(i - 128) / 128.0F; });
  weight.nested_scales = stored_floats(DType::f32, divide_up(n_blocks, 4), [&](std::int64_t) {
    return static_cast<float>(random.uniform(0.2, 1) * spread);
  });
}

}  // namespace

std::size_t OpProblem::add_weight(Format format, const Shape& shape, double spread, double centre) {
  CaseWeight weight;
  WeightDesc& desc = weight.desc;
  desc.name = fmt::format("weight_{}", weights_.size());
  desc.n_matrices = shape[0];
  desc.rows = shape[1];
  desc.cols = shape[2];
  switch (format) {
    case Format::f32:
    case Format::f16:
    case Format::bf16:
      desc.dtype = dtype_of(format);
      weight.data = stored_floats(desc.dtype, desc.elements(), [&](std::int64_t) {
        return random_.centred(spread) + static_cast<float>(centre);
      });
      break;
    case Format::q4_g32:
    case Format::q4_g64:
    case Format::q4_g128:
      desc.group_size = format == Format::q4_g32 ? 32 : format == Format::q4_g64 ? 64 : 128;
      make_affine(weight, random_, spread);
      break;
    case Format::q8_g32:
    case Format::q8_g64:
    case Format::q8_g128:
      desc.group_size = format == Format::q8_g32 ? 32 : format == Format::q8_g64 ? 64 : 128;
      desc.bits = 8;
      make_affine(weight, random_, spread);
      break;
    case Format::q8_rows:
      make_rows_of_8_bits(weight, random_, spread);
      break;
    case Format::mxfp4:
      make_fp4_of_mlx(weight, random_, spread, Codebook::mxfp4, false);
      break;
    case Format::nvfp4:
    case Format::nvfp4_nested:
      make_fp4_of_mlx(weight, random_, spread, Codebook::nvfp4, format == Format::nvfp4_nested);
      break;
    case Format::nf4_g64:
    case Format::nf4_nested:
    case Format::nf4_g8:
    case Format::nf4_g24:
    case Format::fp4_g64:
      desc.codebook = format == Format::fp4_g64 ? Codebook::fp4 : Codebook::nf4;
      desc.group_size = format == Format::nf4_g8 ? 8 : format == Format::nf4_g24 ? 24 : 64;
      desc.nested = format == Format::nf4_nested;
      make_nf4(weight, random_, spread);
      break;
  }
  weights_.push_back(std::move(weight));
  return weights_.size() - 1;
}

std::size_t OpProblem::add_weight(const Shape& shape, std::span<const float> values) {
  CaseWeight weight;
  weight.desc.name = fmt::format("weight_{}", weights_.size());
  weight.desc.n_matrices = shape[0];
  weight.desc.rows = shape[1];
  weight.desc.cols = shape[2];
  const auto bytes = std::as_bytes(values);
  weight.data.assign(bytes.begin(), bytes.end());
  weights_.push_back(std::move(weight));
  return weights_.size() - 1;
}

}  // namespace bitaxon::test
