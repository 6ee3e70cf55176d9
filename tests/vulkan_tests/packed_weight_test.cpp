// Tests of packed weights. The tests read a packed weight in the same way as
// shaders/lib/weight.glsl.
#include "vulkan/memory/packed_weight.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "bitaxon/error.h"
#include "cases/op_case.h"
#include "core/half.h"

namespace bitaxon::vulkan {
namespace {

using test::CaseWeight;
using test::Format;

std::vector<std::byte> packed(const CaseWeight& weight) {
  const PackedLayout layout = packed_layout(weight.desc);
  std::vector<std::byte> bytes(layout.size_bytes, std::byte{0xee});
  write_packed(weight.desc, weight.parts(), layout, 0, bytes);
  return bytes;
}

/// Reads packed bytes as a shader does. It knows only the form of the weight and the offsets of its
/// parts.
class Reader {
 public:
  Reader(const PackedLayout& layout, std::span<const std::byte> bytes)
      : layout_(layout), bytes_(bytes) {}

  float element(std::size_t i) const {
    const std::uint32_t form = layout_.form;
    if ((form & 7) < BX_Q4) return dense(layout_.data, form & 7, i);
    const bool bytes = (form & 7) == BX_Q8;
    const auto code =
        bytes ? static_cast<std::uint32_t>(byte(layout_.data, i))
              : static_cast<std::uint32_t>(byte(layout_.data, i / 2)) >> 4 * (i % 2) & 15;
    const std::size_t group = i / (form >> 9);
    if (bytes || (form & 7) == BX_Q4)
      return std::fma(dense(layout_.scales, form >> 3 & 3, 2 * group), static_cast<float>(code),
                      dense(layout_.scales, form >> 3 & 3, 2 * group + 1));
    return table(code) * absmax(group);
  }

 private:
  std::byte byte(const PackedPart& part, std::size_t i) const {
    EXPECT_LT(i, part.size_bytes);
    return bytes_[part.offset_bytes + i];
  }
  template <class T>
  T read(const PackedPart& part, std::size_t i) const {
    EXPECT_LE((i + 1) * sizeof(T), part.size_bytes);
    T value{};
    std::memcpy(&value, bytes_.data() + part.offset_bytes + i * sizeof(T), sizeof(T));
    return value;
  }
  float dense(const PackedPart& part, std::uint32_t dtype, std::size_t i) const {
    if (dtype == BX_F32) return read<float>(part, i);
    const auto half = read<std::uint16_t>(part, i);
    return dtype == BX_F16 ? f16_to_f32(half) : bf16_to_f32(half);
  }
  float table(std::size_t i) const { return read<float>(layout_.tables, i); }
  float absmax(std::size_t group) const {
    if ((layout_.form & 128) == 0) return read<float>(layout_.scales, group);
    const auto code = static_cast<std::size_t>(byte(layout_.scales, group));
    const auto per_scale = read<std::uint32_t>(layout_.tables, 17);
    return table(20 + code) * table(276 + group / per_scale) + table(16);
  }

  const PackedLayout& layout_;
  std::span<const std::byte> bytes_;
};

/// Weights of every format. Some have rows that are multiples of 16 bytes and of groups, and some
/// do not.
std::vector<CaseWeight> every_weight() {
  std::vector<CaseWeight> weights;
  for (const Format format : test::kEveryFormat) {
    for (const std::int64_t cols : {128, 256, 100, 33}) {
      if (cols % column_unit(format) != 0) continue;
      test::OpProblem problem(fmt::format("{} {}", name_of(format), cols));
      problem.add_weight(format, {1, 7, cols}, 1);
      problem.add_weight(format, {3, 5, cols}, 1);
      weights.insert(weights.end(), problem.weights().begin(), problem.weights().end());
    }
  }
  return weights;
}

std::string describe(const WeightDesc& desc) {
  return fmt::format("{} [{}, {}, {}]", desc.format_name(), desc.n_matrices, desc.rows, desc.cols);
}

TEST(PackedWeight, HoldsEveryElementWhereShadersReadIt) {
  for (const CaseWeight& weight : every_weight()) {
    SCOPED_TRACE(describe(weight.desc));
    const PackedLayout layout = packed_layout(weight.desc);
    const auto bytes = packed(weight);
    std::vector<float> expected(static_cast<std::size_t>(weight.desc.elements()));
    decode(weight.desc, weight.parts(), 0, expected);
    const Reader reader(layout, bytes);
    for (std::size_t i = 0; i < expected.size(); ++i)
      ASSERT_NEAR(reader.element(i), expected[i], 1e-4 * std::abs(expected[i])) << i;
  }
}

TEST(PackedWeight, PartsAreContiguousAndAligned) {
  for (const CaseWeight& weight : every_weight()) {
    SCOPED_TRACE(describe(weight.desc));
    const PackedLayout layout = packed_layout(weight.desc);
    std::size_t end = 0;
    for (const PackedPart& part : {layout.data, layout.scales, layout.tables}) {
      if (part.size_bytes == 0) continue;
      EXPECT_EQ(part.offset_bytes % 16, 0U);
      EXPECT_GE(part.offset_bytes, end);
      EXPECT_LT(part.offset_bytes, end + 16);
      end = part.offset_bytes + part.size_bytes;
    }
    EXPECT_EQ(layout.size_bytes, (end + 15) / 16 * 16);
  }
}

TEST(PackedWeight, PiecesOfAnySizeGiveTheSameBytes) {
  for (const CaseWeight& weight : every_weight()) {
    SCOPED_TRACE(describe(weight.desc));
    const PackedLayout layout = packed_layout(weight.desc);
    const auto whole = packed(weight);
    for (const std::size_t piece : {std::size_t{16}, std::size_t{48}, std::size_t{4096}}) {
      std::vector<std::byte> bytes(whole.size(), std::byte{0xee});
      for (std::size_t at = 0; at < bytes.size(); at += piece)
        write_packed(weight.desc, weight.parts(), layout, at,
                     std::span(bytes).subspan(at, std::min(piece, bytes.size() - at)));
      EXPECT_EQ(bytes, whole) << "pieces of " << piece;
    }
  }
}

TEST(PackedWeight, EachFormatHasPartsOfTheExpectedSize) {
  const auto sizes = [](const WeightDesc& desc) {
    const PackedLayout layout = packed_layout(desc);
    return std::vector<std::size_t>{layout.data.size_bytes, layout.scales.size_bytes,
                                    layout.tables.size_bytes};
  };
  using Sizes = std::vector<std::size_t>;
  WeightDesc desc{.name = "w", .n_matrices = 2, .rows = 3, .cols = 192};
  EXPECT_EQ(sizes(desc), (Sizes{1152 * 4, 0, 0}));
  desc.dtype = DType::bf16;
  EXPECT_EQ(sizes(desc), (Sizes{1152 * 2, 0, 0}));
  desc.format = WeightFormat::affine;
  desc.dtype = desc.bias_dtype = DType::f16;
  desc.group_size = 64;
  EXPECT_EQ(sizes(desc), (Sizes{576, 18 * 4, 0}));
  desc.bias_dtype = DType::f32;  // the scales become float32 too
  EXPECT_EQ(sizes(desc), (Sizes{576, 18 * 8, 0}));
  desc.bias_dtype = DType::f16;
  desc.factor = 0.5F;
  EXPECT_EQ(sizes(desc), (Sizes{576, 18 * 8, 0}));
  desc.format = WeightFormat::codebook;
  EXPECT_EQ(sizes(desc), (Sizes{576, 18 * 4, 20 * 4}));
  desc.nested = true;
  desc.nested_group_size = 4;
  EXPECT_EQ(sizes(desc), (Sizes{576, 18, (20 + 256 + 5) * 4}));
}

TEST(PackedWeight, VectorsBecomeFloat32) {
  for (const Format format : {Format::f16, Format::nf4_nested, Format::q4_g64}) {
    test::OpProblem problem("vector");
    problem.add_weight(format, {1, 1, 192}, 1);
    const CaseWeight& weight = problem.weights()[0];
    const PackedLayout layout = packed_layout(weight.desc);
    EXPECT_EQ(layout.form, BX_F32);
    EXPECT_EQ(layout.size_bytes, 192U * 4);
    std::vector<float> expected(192);
    decode(weight.desc, weight.parts(), 0, expected);
    const auto bytes = packed(weight);
    EXPECT_EQ(std::memcmp(bytes.data(), expected.data(), bytes.size()), 0);
  }
}

TEST(PackedWeight, Nf4CodesBeginWithTheLowNibble) {
  WeightDesc desc{.name = "w", .format = WeightFormat::codebook, .rows = 2, .cols = 16};
  desc.group_size = 64;
  std::vector<std::byte> codes(16);
  for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<std::byte>(i << 4 | 5);
  const std::vector<std::byte> absmax(4), map(64);
  const PackedLayout layout = packed_layout(desc);
  std::vector<std::byte> bytes(layout.size_bytes);
  write_packed(desc, {.data = codes, .scales = absmax, .quant_map = map}, layout, 0, bytes);
  for (std::size_t i = 0; i < codes.size(); ++i)
    EXPECT_EQ(bytes[layout.data.offset_bytes + i], static_cast<std::byte>(5 << 4 | i)) << i;
}

TEST(PackedWeight, RowsOfWhole16ByteUnitsAreMarkedAligned) {
  const auto aligned = [](WeightFormat format, DType dtype, std::int64_t cols, std::int64_t group) {
    WeightDesc desc{.name = "w", .format = format, .rows = 2, .cols = cols, .dtype = dtype};
    desc.group_size = group;
    return (packed_layout(desc).form & 256) != 0;
  };
  EXPECT_TRUE(aligned(WeightFormat::dense, DType::f32, 4, 0));
  EXPECT_FALSE(aligned(WeightFormat::dense, DType::f32, 6, 0));
  EXPECT_TRUE(aligned(WeightFormat::dense, DType::f16, 8, 0));
  EXPECT_FALSE(aligned(WeightFormat::dense, DType::f16, 12, 0));
  EXPECT_TRUE(aligned(WeightFormat::codebook, DType::f32, 32, 64));
  EXPECT_FALSE(aligned(WeightFormat::codebook, DType::f32, 48, 64));
  EXPECT_TRUE(aligned(WeightFormat::affine, DType::f32, 64, 32));
  EXPECT_TRUE(aligned(WeightFormat::affine, DType::f32, 64, 16));
  EXPECT_FALSE(aligned(WeightFormat::affine, DType::f32, 64, 128));
  EXPECT_FALSE(aligned(WeightFormat::codebook, DType::f32, 64, 24));
}

TEST(PackedWeight, ReducesAGroupSizeLargerThanTheWeight) {
  WeightDesc desc{.name = "w", .format = WeightFormat::codebook, .rows = 3, .cols = 100};
  for (const std::int64_t group :
       {std::int64_t{1} << 23, (std::int64_t{1} << 23) + 64, (std::int64_t{1} << 31) - 1}) {
    desc.group_size = group;
    EXPECT_EQ(packed_layout(desc).form >> 9, 512U) << group;
    EXPECT_EQ(packed_layout(desc).scales.size_bytes, 4U) << group;
  }
  desc.rows = 1 << 20;  // the group now has more elements than a form can hold
  EXPECT_THROW(packed_layout(desc), Error);
}

}  // namespace
}  // namespace bitaxon::vulkan
