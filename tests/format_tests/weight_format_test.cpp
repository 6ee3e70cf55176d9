#include "formats/weight_format.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "core/half.h"
#include "format_tests/stored_tensor.h"
#include "support/errors.h"
#include "support/source_tree.h"

namespace bitaxon {
namespace {

using test::expect_error;

using Bytes = std::vector<std::byte>;

float rounded_to(DType dtype, float value) {
  if (dtype == DType::f16) return f16_to_f32(f32_to_f16(value));
  if (dtype == DType::bf16) return bf16_to_f32(f32_to_bf16(value));
  return value;
}

/// The largest relative error of rounding to `dtype`, which is half a step.
double unit_roundoff(DType dtype) {
  return dtype == DType::f16 ? 0x1p-11 : dtype == DType::bf16 ? 0x1p-8 : 0x1p-24;
}

// ---- matrices that were recorded with the original program

struct Recorded {
  int group;
  const char* prefix;
  DType dtype;
};

class RecordedAffineCodes : public testing::TestWithParam<Recorded> {};

TEST_P(RecordedAffineCodes, DecodesWithinTheRoundingOfTheOriginalProgram) {
  const auto [group, prefix, dtype] = GetParam();
  const Checkpoint golden = Checkpoint::open(test::golden_dir() / "ops" /
                                             ("quant_g" + std::to_string(group) + ".safetensors"));
  const std::string stem = prefix;
  const Bytes packed = bytes_of(golden, stem + ".packed");
  const Bytes scales = bytes_of(golden, stem + ".scales");
  const Bytes biases = bytes_of(golden, stem + ".biases");
  const std::vector<float> scale = floats_of(golden, stem + ".scales");
  const std::vector<float> bias = floats_of(golden, stem + ".biases");
  const std::vector<float> upstream = floats_of(golden, stem + ".dequant");
  const Shape shape(golden.find(stem + ".dequant")->shape);
  const WeightDesc desc{.name = stem,
                        .format = WeightFormat::affine,
                        .rows = shape[0],
                        .cols = shape[1],
                        .dtype = dtype,
                        .bias_dtype = dtype,
                        .group_size = group};
  EXPECT_EQ(desc.stored_bytes(), packed.size() + scales.size() + biases.size());

  std::vector<float> decoded(upstream.size());
  decode(desc, {.data = packed, .scales = scales, .biases = biases}, 0, decoded);
  for (std::size_t i = 0; i < decoded.size(); ++i) {
    const std::size_t g = i / static_cast<std::size_t>(group);
    const auto code = static_cast<float>(std::to_integer<int>(packed[i / 2] >> (i % 2 * 4)) & 15);
    ASSERT_EQ(decoded[i], std::fma(scale[g], code, bias[g])) << "element " << i;
    // The original program rounds the product to the stored type, and then the sum.
    const float product = rounded_to(dtype, scale[g] * code);
    ASSERT_EQ(upstream[i], rounded_to(dtype, product + bias[g])) << "element " << i;
    const double bound =
        unit_roundoff(dtype) * 1.01 * (std::abs(scale[g] * code) + std::abs(decoded[i])) + 0x1p-24;
    ASSERT_NEAR(decoded[i], upstream[i], bound) << "element " << i;
  }
}

std::vector<Recorded> all_recorded() {
  std::vector<Recorded> all;
  for (int group : {32, 64, 128})
    for (const auto& [prefix, dtype] :
         {std::pair("fp32", DType::f32), {"fp16", DType::f16}, {"bf16", DType::bf16}})
      all.push_back({group, prefix, dtype});
  return all;
}

INSTANTIATE_TEST_SUITE_P(Golden, RecordedAffineCodes, testing::ValuesIn(all_recorded()),
                         [](const auto& recorded) {
                           return std::string(recorded.param.prefix) + "_g" +
                                  std::to_string(recorded.param.group);
                         });

// ---- every format: decoding in pieces of unaligned bytes equals decoding element by element

/// A copy of some bytes that begins one byte after an aligned address.
struct Unaligned {
  explicit Unaligned(std::span<const std::byte> from = {}) : storage(from.size() + 1) {
    std::copy(from.begin(), from.end(), storage.begin() + 1);
  }
  std::span<const std::byte> span() const { return std::span(storage).subspan(1); }
  Bytes storage;
};

Bytes random_bytes(std::size_t n, std::mt19937& random) {
  Bytes bytes(n);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

/// `n` random numbers in [-2, 2), stored as `dtype`.
Bytes random_floats(DType dtype, std::size_t n, std::mt19937& random) {
  std::uniform_real_distribution<float> uniform(-2, 2);
  Bytes bytes(n * size_of(dtype));
  for (std::size_t i = 0; i < n; ++i) {
    const float value = uniform(random);
    const std::uint16_t half = dtype == DType::f16 ? f32_to_f16(value) : f32_to_bf16(value);
    if (dtype == DType::f32)
      std::memcpy(&bytes[i * 4], &value, 4);
    else
      std::memcpy(&bytes[i * 2], &half, 2);
  }
  return bytes;
}

float float_at(DType dtype, std::span<const std::byte> bytes, std::size_t i) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, bytes.data() + i * size_of(dtype), std::min(size_of(dtype), sizeof(bits)));
  const auto half = static_cast<std::uint16_t>(bits);
  return dtype == DType::f32   ? std::bit_cast<float>(bits)
         : dtype == DType::f16 ? f16_to_f32(half)
                               : bf16_to_f32(half);
}

/// Decodes element `i` by the formulas in weight_format.cpp.
float element(const WeightDesc& desc, const WeightParts& parts, std::size_t i) {
  if (desc.format == WeightFormat::dense) return float_at(desc.dtype, parts.data, i);
  const std::size_t g = i / static_cast<std::size_t>(desc.group_size);
  const int byte = std::to_integer<int>(parts.data[i / 2]);
  if (desc.format == WeightFormat::affine) {
    const int code = byte >> (i % 2 == 0 ? 0 : 4) & 15;
    return std::fma(float_at(desc.dtype, parts.scales, g), static_cast<float>(code),
                    float_at(desc.bias_dtype, parts.biases, g));
  }
  const auto code = static_cast<std::size_t>(byte >> (i % 2 == 0 ? 4 : 0) & 15);
  const float value = float_at(DType::f32, parts.quant_map, code);
  if (!desc.nested) return value * float_at(DType::f32, parts.scales, g);
  const volatile float product =  // rounds the product before the sum
      float_at(DType::f32, parts.nested_quant_map, std::to_integer<std::size_t>(parts.scales[g])) *
      float_at(DType::f32, parts.nested_scales,
               g / static_cast<std::size_t>(desc.nested_group_size));
  return value * (product + desc.nested_offset);
}

void expect_decoded_in_pieces(const WeightDesc& desc) {
  std::mt19937 random(static_cast<unsigned>(desc.elements() + desc.group_size));
  const auto n = static_cast<std::size_t>(desc.elements());
  const std::size_t groups =
      desc.group_size > 0 ? (n - 1) / static_cast<std::size_t>(desc.group_size) + 1 : 0;
  const bool nf4 = desc.format == WeightFormat::codebook;
  const Unaligned data(desc.format == WeightFormat::dense ? random_floats(desc.dtype, n, random)
                                                          : random_bytes((n + 1) / 2, random));
  const Unaligned scales(desc.nested
                             ? random_bytes(groups, random)
                             : random_floats(nf4 ? DType::f32 : desc.dtype, groups, random));
  const Unaligned biases(random_floats(desc.bias_dtype, nf4 ? 0 : groups, random));
  const Unaligned map(random_floats(DType::f32, nf4 ? 16 : 0, random));
  const Unaligned nested_scales(random_floats(
      DType::f32,
      desc.nested ? (groups - 1) / static_cast<std::size_t>(desc.nested_group_size) + 1 : 0,
      random));
  const Unaligned nested_map(random_floats(DType::f32, desc.nested ? 256 : 0, random));
  const WeightParts parts{data.span(), scales.span(),        biases.span(),
                          map.span(),  nested_scales.span(), nested_map.span()};
  EXPECT_EQ(desc.stored_bytes(), parts.data.size() + parts.scales.size() + parts.biases.size() +
                                     parts.quant_map.size() + parts.nested_scales.size() +
                                     parts.nested_quant_map.size());

  for (int piece = 0; piece < 200; ++piece) {
    std::size_t first = random() % (n + 1);
    std::size_t size = random() % (n - first + 1);
    if (piece == 0) first = 0, size = n;
    std::vector<float> out(size + 2, 77.0f);  // one guard element before and one after the piece
    decode(desc, parts, static_cast<std::int64_t>(first), std::span(out).subspan(1, size));
    ASSERT_EQ(out.front(), 77.0f);
    ASSERT_EQ(out.back(), 77.0f);
    for (std::size_t i = 0; i < size; ++i)
      ASSERT_EQ(out[i + 1], element(desc, parts, first + i))
          << "element " << first + i << " of a piece from " << first << " of " << size;
  }
}

TEST(WeightFormat, DecodesDenseInPieces) {
  for (DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    SCOPED_TRACE(name_of(dtype));
    expect_decoded_in_pieces({.name = "w", .rows = 3, .cols = 37, .dtype = dtype});
    expect_decoded_in_pieces({.name = "w", .cols = 1, .dtype = dtype});
  }
}

TEST(WeightFormat, DecodesAffine4InPieces) {
  for (const std::int64_t group : {32, 64, 128})
    for (const DType dtype : {DType::f32, DType::f16, DType::bf16})
      for (const DType bias_dtype : {DType::f32, DType::f16, DType::bf16}) {
        SCOPED_TRACE(group);
        expect_decoded_in_pieces({.name = "w",
                                  .format = WeightFormat::affine,
                                  .n_matrices = 2,
                                  .rows = 3,
                                  .cols = 2 * group,
                                  .dtype = dtype,
                                  .bias_dtype = bias_dtype,
                                  .group_size = group});
      }
}

TEST(WeightFormat, DecodesNf4InPieces) {
  struct Size {
    std::int64_t n_matrices, rows, cols, block;
  };
  // The sizes cover a block that spans two rows, a short last block, an odd number of elements, a
  // block that begins in the middle of a byte, and a single block for all elements.
  for (const Size size :
       {Size{1, 4, 64, 64}, Size{1, 5, 40, 64}, Size{3, 7, 11, 64}, Size{1, 3, 33, 7},
        Size{1, 1, 1, 64}, Size{1, 9, 5, 1}, Size{1, 3, 5, 4096}, Size{2, 8, 64, 128}})
    for (const bool nested : {false, true}) {
      SCOPED_TRACE(testing::Message() << size.rows << " x " << size.cols << " / " << size.block);
      expect_decoded_in_pieces({.name = "w",
                                .format = WeightFormat::codebook,
                                .n_matrices = size.n_matrices,
                                .rows = size.rows,
                                .cols = size.cols,
                                .group_size = size.block,
                                .nested = nested,
                                .nested_group_size = nested ? 3 : 0,
                                .nested_offset = nested ? 0.7f : 0.0f});
    }
}

TEST(WeightFormat, EachFormatHasItsOwnNibbleOrder) {
  Bytes word(16);
  word[0] = std::byte{0x21};
  const float one = 1.0f, zero = 0.0f;
  std::vector<float> map(16);
  for (std::size_t i = 0; i < 16; ++i) map[i] = static_cast<float>(i);
  float out[2];
  WeightDesc desc{
      .name = "w", .format = WeightFormat::affine, .rows = 1, .cols = 32, .group_size = 32};
  decode(desc,
         {.data = word,
          .scales = std::as_bytes(std::span(&one, 1)),
          .biases = std::as_bytes(std::span(&zero, 1))},
         0, out);
  EXPECT_EQ(out[0], 1.0f);
  EXPECT_EQ(out[1], 2.0f);
  desc.format = WeightFormat::codebook;
  decode(desc,
         {.data = word,
          .scales = std::as_bytes(std::span(&one, 1)),
          .quant_map = std::as_bytes(std::span(map))},
         0, out);
  EXPECT_EQ(out[0], 2.0f);
  EXPECT_EQ(out[1], 1.0f);
}

TEST(WeightFormat, RefusesToReadOutsideTheBuffers) {
  const Bytes data(40);
  std::vector<float> out(10);
  WeightDesc desc{.name = "w", .rows = 2, .cols = 5};
  const auto decode_from = [&](std::int64_t first, std::size_t n, std::size_t bytes) {
    return [&, first, n, bytes] {
      decode(desc, {.data = std::span(data).first(bytes)}, first, std::span(out).first(n));
    };
  };
  constexpr auto kInvalid = ErrorKind::invalid_argument;
  EXPECT_NO_THROW(decode_from(0, 10, 40)());
  EXPECT_NO_THROW(decode_from(10, 0, 40)());
  expect_error(decode_from(1, 10, 40), kInvalid, "[decode] \"w\"", "expected elements within");
  expect_error(decode_from(11, 0, 40), kInvalid, "[decode] \"w\"", "expected elements within");
  expect_error(decode_from(-1, 1, 40), kInvalid, "[decode] \"w\"", "expected elements within");
  expect_error(decode_from(0, 1, 39), kInvalid, "[decode] \"w\"", "fewer bytes");
  desc.dtype = DType::u8;
  expect_error(decode_from(0, 10, 10), kInvalid, "[decode] \"w\"", "got U8");
  desc.format = WeightFormat::codebook;
  expect_error(decode_from(0, 1, 40), kInvalid, "[decode] \"w\"", "group size");
  desc.group_size = 64;
  expect_error(decode_from(0, 1, 40), kInvalid, "[decode] \"w\"", "fewer bytes");
}

}  // namespace
}  // namespace bitaxon
