#include "formats/load_weight.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numeric>

#include "format_tests/stored_tensor.h"
#include "formats/float8.h"
#include "support/errors.h"
#include "support/temporary_folder.h"

namespace bitaxon {
namespace {

using test::expect_error;
using test::TemporaryFolder;

std::vector<float> decoded(const WeightDesc& desc, const WeightParts& parts) {
  std::vector<float> values(static_cast<std::size_t>(desc.elements()));
  decode(desc, parts, 0, values);
  return values;
}

StoredTensor pattern(std::string name, StoredType dtype, StoredShape shape, unsigned seed) {
  StoredTensor tensor = zeros(std::move(name), dtype, std::move(shape));
  for (char& byte : tensor.bytes)
    byte = static_cast<char>((seed = seed * 1664525 + 1013904223) >> 24);
  return tensor;
}

StoredTensor numbers(std::string name, std::int64_t n, float first) {
  std::vector<float> values(static_cast<std::size_t>(n));
  std::iota(values.begin(), values.end(), first);
  return stored(std::move(name), DType::f32, Shape{n}, values);
}

class LoadWeight : public testing::Test {
 protected:
  const Checkpoint& write(const std::vector<StoredTensor>& tensors) {
    write_checkpoint(path_, tensors);
    checkpoint_ = Checkpoint::open(path_);
    return *checkpoint_;
  }
  /// Expects that a weight has the same values before and after it is loaded. Returns its loaded
  /// form.
  WeightDesc expect_same_values(const std::vector<StoredTensor>& tensors, const Shape& shape) {
    const Checkpoint& file = write(tensors);
    const WeightSource source = find_weight(file, "x.weight", shape, true).value();
    LoadedWeight before, after;
    read_weight(file, source, before);
    const WeightDesc desc = load_weight(file, source, after);
    const std::vector<float> a = decoded(source.desc, before.parts);
    const std::vector<float> b = decoded(desc, after.parts);
    for (std::size_t i = 0; i < a.size(); ++i)
      EXPECT_TRUE(a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]))) << a[i] << " " << b[i];
    EXPECT_EQ(desc.format_name(), loaded_form(source.desc).format_name());
    return desc;
  }

  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "m.safetensors";
  std::optional<Checkpoint> checkpoint_;
};

TEST_F(LoadWeight, UnpacksCodesOfEverySize) {
  for (const std::int64_t bits : {2, 3, 4, 5, 6, 8}) {
    SCOPED_TRACE(bits);
    const WeightDesc desc =
        expect_same_values({pattern("x.weight", DType::u32, {3, 5, 3 * bits}, 7),
                            pattern("x.scales", DType::bf16, {3, 5, 3}, 8),
                            pattern("x.biases", DType::bf16, {3, 5, 3}, 9)},
                           {3, 5, 96});
    EXPECT_EQ(desc.bits, bits <= 4 ? 4 : 8);
    EXPECT_EQ(desc.group_size, 32);
  }
}

TEST_F(LoadWeight, UnpacksMoreThanOnePiece) {
  const std::int64_t rows = 4097;  // a little more than 2^20 elements
  expect_same_values({pattern("x.weight", DType::u32, {rows, 24}, 7),
                      pattern("x.scales", DType::f16, {rows, 2}, 8),
                      pattern("x.biases", DType::f16, {rows, 2}, 9)},
                     {rows, 256});
}

TEST_F(LoadWeight, TurnsInt8IntoAffineCodesExactly) {
  std::vector<std::int8_t> codes(256);
  std::iota(codes.begin(), codes.end(), std::int8_t{-128});
  StoredTensor tensor = zeros("x.weight", StoredType::named("I8").value(), {2, 128});
  std::memcpy(tensor.bytes.data(), codes.data(), codes.size());
  for (const float scale : {0.0F, 1.1F, -3e-39F, 1e30F}) {
    const WeightDesc desc = expect_same_values(
        {tensor, stored<float>("x.SCB", DType::f32, {2}, {scale, 0.37F})}, {2, 128});
    EXPECT_EQ(desc.format, WeightFormat::affine);
    EXPECT_EQ(desc.group_size, 128);
    EXPECT_EQ(desc.factor, kInt8Factor);
  }
}

TEST_F(LoadWeight, TurnsMxfp8IntoBf16) {
  std::vector<std::uint8_t> scales(8), codes(256);
  std::iota(codes.begin(), codes.end(), std::uint8_t{0});
  // The scales are 2^-127 (with which a value may round), 2^-60, 1, 2^60, 2^110 and NaN.
  scales = {67, 67, 127, 187, 237, 255, 127, 127};
  StoredTensor weight = zeros("x.weight", DType::u32, {2, 32});
  std::memcpy(weight.bytes.data(), codes.data(), codes.size());
  StoredTensor scale = zeros("x.scales", DType::u8, {2, 4});
  std::memcpy(scale.bytes.data(), scales.data(), scales.size());
  const WeightDesc desc = expect_same_values({weight, scale}, {2, 128});
  EXPECT_EQ(desc.format_name(), "bf16");
}

TEST_F(LoadWeight, KeepsNvfp4WithAndWithoutAScaleOfTheMatrix) {
  std::vector<StoredTensor> tensors = {pattern("x.weight", DType::u32, {3, 5, 4}, 7),
                                       pattern("x.scales", DType::u8, {3, 5, 2}, 8)};
  EXPECT_EQ(expect_same_values(tensors, {3, 5, 32}).format_name(), "nvfp4_g16");
  tensors.push_back(numbers("x.global_scale", 3, 2688));
  EXPECT_EQ(expect_same_values(tensors, {3, 5, 32}).format_name(), "nvfp4_g16_nested");
  // A global scale of 2688 means 1, because a scale of 448 and a value of 6 give 2688.
  const WeightSource source = find_weight(*checkpoint_, "x.weight", {3, 5, 32}, true).value();
  LoadedWeight loaded;
  const WeightDesc desc = load_weight(*checkpoint_, source, loaded);
  const auto code = static_cast<std::uint8_t>(loaded.parts.scales[0]);
  EXPECT_EQ(block_scale(desc, loaded.parts, 0), e4m3_to_f32(code));
  tensors.back() = numbers("x.global_scale", 2, 1);
  const Checkpoint& file = write(tensors);
  expect_error(
      [&] {
        find_weight(file, "x.weight", {3, 5, 32}, true);
      },
      ErrorKind::format, path_.string() + ": tensor \"x.global_scale\"",
      "expected F32 [3], got F32 [2]");
}

// ---- stacks of separate matrices

std::vector<StoredTensor> nf4_expert(const std::string& name, unsigned seed, float map_begin,
                                     bool nested, std::string offset) {
  std::string state = R"({"quant_type":"nf4","blocksize":64,"dtype":"float16","shape":[6,32])";
  if (nested)
    state += R"(,"nested_blocksize":2,"nested_dtype":"float32","nested_offset":)" + offset;
  std::vector<StoredTensor> parts = {
      pattern(name, DType::u8, {96, 1}, seed),
      nested ? pattern(name + ".absmax", DType::u8, {3}, seed + 1)
             : numbers(name + ".absmax", 3, static_cast<float>(seed)),
      numbers(name + ".quant_map", 16, map_begin),
      stored_text(name + ".quant_state.bitsandbytes__nf4", state + "}")};
  if (nested) {
    parts.push_back(numbers(name + ".nested_absmax", 2, static_cast<float>(seed)));
    parts.push_back(numbers(name + ".nested_quant_map", 256, -1));
  }
  return parts;
}

class LoadStack : public LoadWeight {
 protected:
  /// The weights e0.weight and e1.weight of the file.
  std::vector<WeightSource> experts(const Shape& shape) {
    return {find_weight(*checkpoint_, "e0.weight", shape, true).value(),
            find_weight(*checkpoint_, "e1.weight", shape, true).value()};
  }
  /// Expects that the stack has the values of the two weights. Returns the form of the stack.
  WeightDesc expect_stacked(const Shape& shape) {
    const std::vector<WeightSource> matrices = experts(shape);
    std::vector<float> expected;
    LoadedWeight loaded;
    for (const WeightSource& matrix : matrices) {
      read_weight(*checkpoint_, matrix, loaded);
      const std::vector<float> values = decoded(matrix.desc, loaded.parts);
      expected.insert(expected.end(), values.begin(), values.end());
    }
    const WeightDesc desc = load_stack(*checkpoint_, "stack", matrices, loaded);
    EXPECT_EQ(desc.n_matrices, 2);
    EXPECT_EQ(desc.name, "stack");
    EXPECT_EQ(decoded(desc, loaded.parts), expected);
    return desc;
  }
  void write_both(std::vector<StoredTensor> first, const std::vector<StoredTensor>& second) {
    first.insert(first.end(), second.begin(), second.end());
    write(first);
  }
};

TEST_F(LoadStack, JoinsFloats) {
  write({numbers("e0.weight", 12, 1), numbers("e1.weight", 12, 100)});
  EXPECT_THROW(experts({3, 4}), Error);
  write({stored<float>("e0.weight", DType::f32, {1, 3}, {1, 2, 3}),
         stored<float>("e1.weight", DType::f32, {1, 3}, {4, 5, 6})});
  EXPECT_EQ(expect_stacked({1, 3}).format_name(), "f32");
}

TEST_F(LoadStack, JoinsFloatsOfDifferentTypes) {
  write({stored<float>("e0.weight", DType::f32, {1, 3}, {1, 2, 3}),
         stored<std::uint16_t>("e1.weight", DType::bf16, {1, 3}, {0x3f80, 0x4000, 0x4040})});
  EXPECT_EQ(expect_stacked({1, 3}).format_name(), "f32");
  write({stored<std::uint16_t>("e0.weight", DType::f16, {1, 2}, {0x3c00, 0x0001}),
         stored<std::uint16_t>("e1.weight", DType::bf16, {1, 2}, {0x3f80, 0x0001})});
  EXPECT_EQ(expect_stacked({1, 2}).format_name(), "f32");
}

TEST_F(LoadStack, NamesTheFileOfAMissingMatrix) {
  write({zeros("e.0.weight", DType::f16, {1, 12})});
  EXPECT_FALSE(find_stack(*checkpoint_, "f.*.weight", {2, 3, 4}));
  expect_error(
      [&] {
        find_stack(*checkpoint_, "e.*.weight", {2, 1, 12});
      },
      ErrorKind::format,
      path_.string() + ": tensor \"e.*.weight\": expected one for each of 2 experts",
      "got none for 1");
}

TEST_F(LoadStack, JoinsAffineCodes) {
  std::vector<StoredTensor> tensors;
  for (const std::string name : {"e0", "e1"}) {
    tensors.push_back(
        pattern(name + ".weight", DType::u32, {5, 9}, static_cast<unsigned char>(name[1])));
    tensors.push_back(pattern(name + ".scales", DType::f16, {5, 3}, 3U));
    tensors.push_back(zeros(name + ".biases", DType::f16, {5, 3}));
  }
  for (StoredTensor& tensor : tensors)  // no NaN
    if (tensor.name.ends_with("scales"))
      for (char& byte : tensor.bytes) byte = static_cast<char>(byte & 0x3f);
  write(tensors);
  EXPECT_EQ(expect_stacked({5, 96}).format_name(), "q4_affine_g32");
}

TEST_F(LoadStack, JoinsNf4) {
  write_both(nf4_expert("e0.weight", 1, 0.5F, false, ""),
             nf4_expert("e1.weight", 2, 0.5F, false, ""));
  EXPECT_EQ(expect_stacked({6, 32}).format_name(), "nf4_g64");
}

TEST_F(LoadStack, JoinsNestedNf4WithDifferentOffsets) {
  write_both(nf4_expert("e0.weight", 1, 0.5F, true, "0.25"),
             nf4_expert("e1.weight", 2, 0.5F, true, "3.5"));
  EXPECT_EQ(expect_stacked({6, 32}).format_name(), "nf4_g64");
}

TEST_F(LoadStack, RefusesMatricesThatDiffer) {
  write_both(nf4_expert("e0.weight", 1, 0.5F, false, ""),
             nf4_expert("e1.weight", 2, 0.6F, false, ""));
  LoadedWeight loaded;
  expect_error(
      [&] {
        load_stack(*checkpoint_, "stack", experts({6, 32}), loaded);
      },
      ErrorKind::format, path_.string() + ": tensor \"e1.weight\"",
      "expected the quant_map of \"e0.weight\", got another");
  write_both(nf4_expert("e0.weight", 1, 0.5F, false, ""),
             {zeros("e1.weight", DType::f16, {6, 32})});
  expect_error(
      [&] {
        load_stack(*checkpoint_, "stack", experts({6, 32}), loaded);
      },
      ErrorKind::format, path_.string() + ": tensor \"e1.weight\"",
      "expected nf4_g64 [6, 32], the form of \"e0.weight\", got f16 [6, 32]");
}

}  // namespace
}  // namespace bitaxon
