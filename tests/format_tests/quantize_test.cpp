#include "formats/quantize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "bitaxon/error.h"
#include "core/half.h"
#include "format_tests/stored_tensor.h"
#include "formats/nf4_codebook.h"
#include "support/source_tree.h"

namespace bitaxon {
namespace {

using Bytes = std::vector<std::byte>;

Bytes copy_of(std::span<const std::byte> bytes) { return {bytes.begin(), bytes.end()}; }

struct Quantized {
  WeightDesc desc;
  LoadedWeight loaded;
};

/// Quantizes a weight in pieces of `piece` elements.
Quantized quantize(const WeightDesc& dense, const std::vector<float>& values,
                   const Quantization& how, std::size_t piece = SIZE_MAX) {
  Quantized result;
  Quantizer quantizer(dense, how, result.loaded);
  for (std::size_t first = 0; first < values.size(); first += piece) {
    piece = std::min(piece, values.size() - first);
    quantizer.add(std::span(values).subspan(first, piece));
  }
  result.desc = quantizer.finish();
  return result;
}

WeightDesc dense_desc(std::int64_t rows, std::int64_t cols, DType dtype = DType::f32) {
  return {.name = "w", .rows = rows, .cols = cols, .dtype = dtype};
}

// ---- matrices that were recorded with the original programs

struct Recorded {
  int group;
  const char* prefix;
  DType dtype;
};

class RecordedAffine : public testing::TestWithParam<Recorded> {};

TEST_P(RecordedAffine, IsQuantizedToTheSameBits) {
  const auto [group, prefix, dtype] = GetParam();
  const Checkpoint golden = Checkpoint::open(test::golden_dir() / "ops" /
                                             ("quant_g" + std::to_string(group) + ".safetensors"));
  const std::string stem = prefix;
  const Shape shape(golden.find(stem + ".w")->shape);
  const Quantized result = quantize(dense_desc(shape[0], shape[1], dtype),
                                    floats_of(golden, stem + ".w"), {.group_size = group});
  EXPECT_EQ(copy_of(result.loaded.parts.data), bytes_of(golden, stem + ".packed"));
  EXPECT_EQ(copy_of(result.loaded.parts.scales), bytes_of(golden, stem + ".scales"));
  EXPECT_EQ(copy_of(result.loaded.parts.biases), bytes_of(golden, stem + ".biases"));
}

std::vector<Recorded> all_recorded() {
  std::vector<Recorded> all;
  for (int group : {32, 64, 128})
    for (const auto& [prefix, dtype] :
         {std::pair("fp32", DType::f32), std::pair("fp16", DType::f16),
          std::pair("bf16", DType::bf16)})
      all.push_back({group, prefix, dtype});
  return all;
}
INSTANTIATE_TEST_SUITE_P(EveryGroup, RecordedAffine, testing::ValuesIn(all_recorded()),
                         [](const auto& case_) {
                           return case_.param.prefix + std::to_string(case_.param.group);
                         });

class RecordedNf4 : public testing::TestWithParam<const char*> {};

TEST_P(RecordedNf4, IsQuantizedToTheSameBits) {
  const Checkpoint golden = Checkpoint::open(test::golden_dir() / "ops" / "nf4.safetensors");
  const std::string name = std::string(GetParam()) + ".weight";
  const Shape shape(golden.find(name + ".original")->shape);
  WeightDesc dense = dense_desc(shape[shape.rank() - 2], shape[shape.rank() - 1]);
  if (shape.rank() == 3) dense.n_matrices = shape[0];
  const bool nested = golden.find(name + ".nested_absmax") != nullptr;
  const Quantized result = quantize(dense, floats_of(golden, name + ".original"),
                                    {.format = WeightFormat::codebook,
                                     .group_size = std::string(GetParam()) == "block128" ? 128 : 64,
                                     .nested = nested},
                                    256);
  EXPECT_EQ(copy_of(result.loaded.parts.data), bytes_of(golden, name));
  EXPECT_EQ(copy_of(result.loaded.parts.scales), bytes_of(golden, name + ".absmax"));
  EXPECT_EQ(copy_of(result.loaded.parts.quant_map), bytes_of(golden, name + ".quant_map"));
  if (!nested) return;
  EXPECT_EQ(copy_of(result.loaded.parts.nested_scales), bytes_of(golden, name + ".nested_absmax"));
  EXPECT_EQ(copy_of(result.loaded.parts.nested_quant_map),
            bytes_of(golden, name + ".nested_quant_map"));
  EXPECT_EQ(result.desc.nested_offset, 2.825951337814331F);
}
INSTANTIATE_TEST_SUITE_P(Every, RecordedNf4,
                         testing::Values("plain", "block128", "experts", "nested"),
                         [](const auto& case_) { return std::string(case_.param); });

// ---- cases that are not in the recordings

TEST(Quantize, Nf4TakesTheNearestCodeAndTheLowerOnATie) {
  for (std::size_t low = 0; low < 15; ++low) {
    const double middle = (double{kNf4Codebook[low]} + double{kNf4Codebook[low + 1]}) / 2;
    const auto near = static_cast<float>(middle);
    for (const float value : {std::nextafter(near, -2.0F), near, std::nextafter(near, 2.0F)}) {
      std::vector<float> block(64, 1.0F);
      block[1] = value;
      const Quantized result =
          quantize(dense_desc(1, 64), block, {.format = WeightFormat::codebook});
      const auto code = std::to_integer<std::size_t>(result.loaded.parts.data[0]) & 15U;
      EXPECT_EQ(code, double{value} > middle ? low + 1 : low) << value;
    }
  }
}

TEST(Quantize, EveryNumberOfBitsIsWithinAStep) {
  std::vector<float> values(192);
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = std::sin(static_cast<float>(7 * i)) * (i < 64 ? 1.0F : 20.0F);
  for (const int bits : {2, 3, 4, 5, 6, 8}) {
    SCOPED_TRACE(bits);
    const Quantized result = quantize(dense_desc(1, 192), values, {.bits = bits});
    EXPECT_EQ(result.desc.format_name(), "q" + std::to_string(bits) + "_affine_g64");
    EXPECT_EQ(result.loaded.parts.data.size(), 24U * static_cast<unsigned>(bits));
    std::vector<float> decoded(values.size());
    decode(result.desc, result.loaded.parts, 0, decoded);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const float range = i < 64 ? 2.0F : 40.0F;
      // The scale changes so that one end of the range is exact. So the other end may be clipped.
      EXPECT_NEAR(decoded[i], values[i], range / static_cast<float>((1 << bits) - 1)) << i;
    }
  }
  for (const int bits : {0, 1, 7, 9})
    EXPECT_THROW(quantized_desc(dense_desc(1, 192), {.bits = bits}), Error) << bits;
}

TEST(Quantize, ZerosStayZeros) {
  const std::vector<float> zeros(128, 0.0F);
  for (const WeightFormat format : {WeightFormat::affine, WeightFormat::codebook}) {
    const Quantized result = quantize(dense_desc(2, 64), zeros, {.format = format});
    std::vector<float> decoded(zeros.size(), 1.0F);
    decode(result.desc, result.loaded.parts, 0, decoded);
    EXPECT_EQ(decoded, zeros);
  }
}

TEST(Quantize, NestedQuantizationOfEqualScalesIsExact) {
  std::vector<float> values(64 * 300, 0.25F);
  const Quantized result =
      quantize(dense_desc(300, 64), values, {.format = WeightFormat::codebook, .nested = true});
  std::vector<float> decoded(values.size());
  decode(result.desc, result.loaded.parts, 0, decoded);
  EXPECT_EQ(decoded, values);
}

TEST(Quantize, RefusesNumbersThatAreNotFinite) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    std::vector<float> values(128, 1.0F);
    values[70] = bad;
    try {
      quantize(dense_desc(2, 64), values, {});
      FAIL() << bad;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::format);
      EXPECT_NE(std::string(error.what()).find("element 70"), std::string::npos) << error.what();
    }
  }
}

/// Expects that `act` throws an Error(format) that names the tensor "w" and contains `fragment`.
template <typename Act>
void expect_refused(const Act& act, std::string_view fragment) {
  try {
    act();
    ADD_FAILURE() << "expected an error with " << fragment;
  } catch (const Error& error) {
    const std::string_view what = error.what();
    EXPECT_EQ(error.kind(), ErrorKind::format) << what;
    EXPECT_TRUE(what.starts_with("tensor \"w\": ")) << what;
    EXPECT_NE(what.find(fragment), what.npos) << what;
  }
}

TEST(Quantize, RefusesValuesWhoseScaleOrBiasOverflows) {
  std::vector<float> values(128, 1.0F);
  values[70] = 3.4e38F;
  values[71] = -3.4e38F;
  expect_refused([&] { quantize(dense_desc(2, 64), values, {}); }, "element 64");
  // These values are beyond the range of F16. Merging an adapter may give such values.
  values[70] = 1e6F;
  values[71] = -1e6F;
  expect_refused([&] { quantize(dense_desc(2, 64, DType::f16), values, {}); }, "within F16");
  quantize(dense_desc(2, 64, DType::bf16), values, {});
}

TEST(Quantize, RefusesScalesWhoseSumIsInfinite) {
  const std::vector<float> values(128, 3e38F);
  const Quantization nested{.format = WeightFormat::codebook, .nested = true};
  expect_refused([&] { quantize(dense_desc(2, 64), values, nested); }, "sum");
  quantize(dense_desc(2, 64), values, {.format = WeightFormat::codebook});
}

TEST(Quantize, RefusesRowsThatDoNotDivideIntoGroups) {
  EXPECT_FALSE(can_quantize(dense_desc(2, 96), {}));
  EXPECT_TRUE(can_quantize(dense_desc(2, 96), {.group_size = 32}));
  EXPECT_FALSE(can_quantize(dense_desc(2, 32), {}));
  EXPECT_THROW(quantized_desc(dense_desc(2, 96), {}), Error);
  EXPECT_THROW(quantized_desc(dense_desc(2, 96), {.group_size = 16}), Error);
  WeightDesc already = quantized_desc(dense_desc(2, 64), {});
  EXPECT_THROW(quantized_desc(already, {}), Error);
}

}  // namespace
}  // namespace bitaxon
