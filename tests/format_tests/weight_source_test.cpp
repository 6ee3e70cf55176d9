#include "formats/weight_source.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "format_tests/stored_tensor.h"
#include "support/errors.h"
#include "support/source_tree.h"
#include "support/temporary_folder.h"

namespace bitaxon {
namespace {

using test::expect_error;
using test::TemporaryFolder;

/// Decodes all elements of a weight.
std::vector<float> decode_all(const Checkpoint& checkpoint, const WeightSource& source) {
  LoadedWeight loaded;
  read_weight(checkpoint, source, loaded);
  std::vector<float> out(static_cast<std::size_t>(source.desc.elements()));
  decode(source.desc, loaded.parts, 0, out);
  return out;
}

// ---- recorded NF4 matrices

struct RecordedNf4 {
  const char* prefix;
  Shape shape;
  std::int64_t block;
  bool nested;
};

TEST(WeightSource, ReadsTheRecordedNf4Matrices) {
  const Checkpoint golden = Checkpoint::open(test::golden_dir() / "ops" / "nf4.safetensors");
  for (const RecordedNf4& recorded : {RecordedNf4{"plain", {48, 128}, 64, false},
                                      {"block128", {16, 256}, 128, false},
                                      {"experts", {3, 32, 64}, 64, false},
                                      {"nested", {96, 256}, 64, true}}) {
    SCOPED_TRACE(recorded.prefix);
    const std::string name = std::string(recorded.prefix) + ".weight";
    const auto source = find_weight(golden, name, recorded.shape, true);
    ASSERT_TRUE(source.has_value());
    EXPECT_EQ(source->desc.format, WeightFormat::codebook);
    EXPECT_EQ(source->desc.name, name);
    EXPECT_EQ(source->desc.elements(), recorded.shape.elements());
    EXPECT_EQ(source->desc.n_matrices, recorded.shape.rank() == 3 ? 3 : 1);
    EXPECT_EQ(source->desc.group_size, recorded.block);
    EXPECT_EQ(source->desc.nested, recorded.nested);
    if (recorded.nested) {
      EXPECT_EQ(source->desc.nested_group_size, 256);
      EXPECT_EQ(source->desc.nested_offset, 2.825951337814331f);
    }
    EXPECT_EQ(decode_all(golden, *source), floats_of(golden, name + ".dequantized"));
  }
}

TEST(WeightSource, ReadsEveryLayoutOfTheRecordedModels) {
  const Checkpoint q4 =
      Checkpoint::open(test::golden_dir() / "tiny_q4_linear_only" / "model.safetensors");
  const auto head =
      find_weight(q4, "lm_head.weight", Shape{q4.find("lm_head.weight")->shape[0], 64}, true);
  ASSERT_TRUE(head.has_value());
  EXPECT_EQ(head->desc.format, WeightFormat::affine);
  EXPECT_EQ(head->desc.group_size, 64);
  EXPECT_EQ(find_weight(q4, "no.such.weight", Shape{1, 1}, true), std::nullopt);
  const TensorInfo* embedding = q4.find("embed_tokens.weight");
  ASSERT_NE(embedding, nullptr);
  EXPECT_EQ(find_weight(q4, embedding->name, Shape(embedding->shape), false)->desc.format,
            WeightFormat::dense);
}

// ---- synthetic tensors

std::string nf4_state(std::string_view shape, std::string_view more = "",
                      std::string_view block = "64") {
  return R"({"quant_type":"nf4","blocksize":)" + std::string(block) +
         R"(,"dtype":"float16","shape":)" + std::string(shape) + std::string(more) + "}";
}

constexpr std::string_view kNested =
    R"(,"nested_blocksize":256,"nested_dtype":"float32","nested_offset":0.5)";

/// The tensors that store the weight "x.weight" [4, 64] in the layout of MLX.
std::vector<StoredTensor> affine_parts() {
  return {zeros("x.weight", DType::u32, {4, 8}), zeros("x.scales", DType::f16, {4, 2}),
          zeros("x.biases", DType::bf16, {4, 2})};
}

/// The tensors that store the weight "x.weight" [4, 64] in the layout of bitsandbytes.
std::vector<StoredTensor> nf4_parts() {
  return {zeros("x.weight", DType::u8, {128, 1}), zeros("x.weight.absmax", DType::f32, {4}),
          zeros("x.weight.quant_map", DType::f32, {16}),
          stored_text("x.weight.quant_state.bitsandbytes__nf4", nf4_state("[4, 64]"))};
}

std::vector<StoredTensor> nested_parts() {
  std::vector<StoredTensor> parts = nf4_parts();
  parts[1] = zeros("x.weight.absmax", DType::u8, {4});
  parts[3] = stored_text("x.weight.quant_state.bitsandbytes__nf4", nf4_state("[4, 64]", kNested));
  parts.push_back(zeros("x.weight.nested_absmax", DType::f32, {1}));
  parts.push_back(zeros("x.weight.nested_quant_map", DType::f32, {256}));
  return parts;
}

class WeightSourceTest : public testing::Test {
 protected:
  Checkpoint checkpoint_of(const std::vector<StoredTensor>& tensors) {
    write_checkpoint(path_, tensors);
    return Checkpoint::open(path_);
  }

  void expect_refused(const std::vector<StoredTensor>& tensors, std::string_view fragment,
                      ErrorKind kind = ErrorKind::format, bool allow_quantized = true,
                      const Shape& shape = {4, 64}) {
    SCOPED_TRACE(fragment);
    const Checkpoint checkpoint = checkpoint_of(tensors);
    expect_error([&] { find_weight(checkpoint, "x.weight", shape, allow_quantized); }, kind,
                 path_.string() + ": tensor \"x", fragment);
  }

  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "m.safetensors";
};

/// A copy of `parts` with the tensor `replaced`. If `parts` has a tensor of the same name,
/// `replaced` takes its place.
std::vector<StoredTensor> with(std::vector<StoredTensor> parts, StoredTensor replaced) {
  for (StoredTensor& part : parts)
    if (part.name == replaced.name) {
      part = std::move(replaced);
      return parts;
    }
  parts.push_back(std::move(replaced));
  return parts;
}

std::vector<StoredTensor> without(std::vector<StoredTensor> parts, std::string_view name) {
  std::erase_if(parts, [&](const StoredTensor& part) { return part.name == name; });
  return parts;
}

TEST_F(WeightSourceTest, FindsDenseWeightsOfEveryRank) {
  const Checkpoint checkpoint =
      checkpoint_of({zeros("v", DType::f32, {7}), zeros("m.weight", DType::f16, {2, 3}),
                     zeros("s.weight", DType::bf16, {4, 2, 3})});
  const auto vector = find_weight(checkpoint, "v", Shape{7}, false);
  ASSERT_TRUE(vector.has_value());
  EXPECT_EQ(vector->desc.rows, 1);
  EXPECT_EQ(vector->desc.cols, 7);
  const auto stack = find_weight(checkpoint, "s.weight", Shape{4, 2, 3}, true);
  ASSERT_TRUE(stack.has_value());
  EXPECT_EQ(stack->desc.n_matrices, 4);
  EXPECT_EQ(stack->desc.rows, 2);
  EXPECT_EQ(stack->desc.cols, 3);
  EXPECT_EQ(stack->desc.dtype, DType::bf16);
  EXPECT_EQ(find_weight(checkpoint, "m", Shape{2, 3}, true), std::nullopt);
}

TEST_F(WeightSourceTest, RefusesTheWrongShapeOrType) {
  expect_refused({zeros("x.weight", DType::f32, {64, 4})}, "expected [4, 64], got F32 [64, 4]");
  expect_refused({zeros("x.weight", DType::f32, {256})}, "expected [4, 64], got F32 [256]");
  expect_refused({zeros("x.weight", DType::f32, {1, 64})}, "expected [64], got F32 [1, 64]",
                 ErrorKind::format, true, {64});
  expect_refused({zeros("x.weight", DType::i32, {4, 64})},
                 "expected F32, F16 or BF16 [4, 64], or codes (U32, U8, I8), got I32 [4, 64]");
  expect_refused(affine_parts(), "F32, F16 or BF16 [4, 64] (codes are not read here)",
                 ErrorKind::format, false);
  expect_refused(nf4_parts(), "codes are not read here", ErrorKind::format, false);
  expect_refused(affine_parts(), "codes are not read here", ErrorKind::format, true, {32});
  const Checkpoint checkpoint = checkpoint_of(nf4_parts());
  expect_error(
      [&] {
        find_weight(checkpoint, "x.weight", Shape{1, 1, 1, 1}, true);
      },
      ErrorKind::invalid_argument, "[find_weight]", "rank 1 to 3");
}

TEST_F(WeightSourceTest, FindsAffine4) {
  const Checkpoint checkpoint = checkpoint_of(affine_parts());
  const auto source = find_weight(checkpoint, "x.weight", Shape{4, 64}, true);
  ASSERT_TRUE(source.has_value());
  EXPECT_EQ(source->desc.format, WeightFormat::affine);
  EXPECT_EQ(source->desc.group_size, 32);
  EXPECT_EQ(source->desc.dtype, DType::f16);
  EXPECT_EQ(source->desc.bias_dtype, DType::bf16);
  EXPECT_EQ(source->biases->name, "x.biases");
}

TEST_F(WeightSourceTest, FindsTheBiasesOfAnExpertStack) {
  for (const char* biases : {"x.biases_quant", "x.biases"}) {
    const Checkpoint checkpoint = checkpoint_of({zeros("x.weight", DType::u32, {3, 4, 16}),
                                                 zeros("x.scales", DType::f32, {3, 4, 1}),
                                                 zeros(biases, DType::f32, {3, 4, 1})});
    const auto source = find_weight(checkpoint, "x.weight", Shape{3, 4, 128}, true);
    ASSERT_TRUE(source.has_value());
    EXPECT_EQ(source->desc.group_size, 128);
    EXPECT_EQ(source->biases->name, biases);
  }
}

TEST_F(WeightSourceTest, RefusesInconsistentAffine4Tensors) {
  const auto parts = affine_parts();
  expect_refused(
      with(parts, zeros("x.weight", DType::u32, {4, 7})),
      "expected [4, 64] as floats, or U32 with codes of 2, 3, 4, 5, 6 or 8 bits, got U32 [4, 7]");
  expect_refused(with(parts, zeros("x.weight", DType::u32, {4, 14})), "got U32 [4, 14]");  // 7 bits
  expect_refused(with(parts, zeros("x.weight", DType::u32, {1, 4, 8})), "got U32 [1, 4, 8]");
  expect_refused(parts, "expected [4, 60] as floats", ErrorKind::format, true, {4, 60});
  expect_refused(without(parts, "x.scales"),
                 "U32 [4, 8] (4-bit codes) needs a tensor \"x.scales\", which is missing");
  expect_refused(without(parts, "x.biases"), "needs a tensor \"x.biases\", which is missing");
  expect_refused(with(parts, zeros("x.biases_quant", DType::f16, {4, 2})), "got both");
  for (const Shape& shape : {Shape{4, 4}, Shape{4, 3}, Shape{4, 0}, Shape{2, 2}, Shape{4}, Shape{},
                             Shape{4, 64}, Shape{4, 2, 1}})
    expect_refused(
        with(parts, zeros("x.scales", DType::f16, shape)),
        "with the last extent divided by a group of 32, 64 or 128, got F16 " + shape.to_string());
  expect_refused(with(parts, zeros("x.scales", DType::u32, {4, 2})), "got U32 [4, 2]");
  expect_refused(with(parts, zeros("x.biases", DType::f16, {4, 1})),
                 "expected F32, F16 or BF16 [4, 2], the shape of the scales, got F16 [4, 1]");
  expect_refused(with(parts, zeros("x.biases", DType::u8, {4, 2})), "got U8 [4, 2]");
}

TEST_F(WeightSourceTest, FindsNf4OfAnOddSizeAndUsesTheStoredCodebook) {
  // The weight has 3 elements in blocks of 2. Its bytes are 0x12 and 0x3f, and the last nibble is
  // unused.
  std::vector<float> map(16);
  for (std::size_t i = 0; i < map.size(); ++i) map[i] = static_cast<float>(i) + 0.5f;
  for (const Shape& stored_shape : {Shape{2, 1}, Shape{2}}) {
    const Checkpoint checkpoint = checkpoint_of(
        {stored<std::uint8_t>("x.weight", DType::u8, stored_shape, {0x12, 0x3f}),
         stored<float>("x.weight.absmax", DType::f32, {2}, {10.0f, 100.0f}),
         stored("x.weight.quant_map", DType::f32, {16}, map),
         stored_text("x.weight.quant_state.bitsandbytes__nf4", nf4_state("[1, 3]", "", "2"))});
    const auto source = find_weight(checkpoint, "x.weight", Shape{1, 3}, true);
    ASSERT_TRUE(source.has_value());
    EXPECT_EQ(decode_all(checkpoint, *source), (std::vector<float>{15.0f, 25.0f, 350.0f}));
  }
}

TEST_F(WeightSourceTest, FindsNestedNf4) {
  std::vector<StoredTensor> parts = nested_parts();
  const Checkpoint checkpoint = checkpoint_of(parts);
  const auto source = find_weight(checkpoint, "x.weight", Shape{4, 64}, true);
  ASSERT_TRUE(source.has_value());
  EXPECT_TRUE(source->desc.nested);
  EXPECT_EQ(source->desc.nested_offset, 0.5f);
  EXPECT_EQ(source->desc.dtype, DType::f16);  // the type before quantization
  ASSERT_NE(source->nested_scales, nullptr);
  ASSERT_NE(source->nested_quant_map, nullptr);
}

TEST_F(WeightSourceTest, RefusesInconsistentNf4Tensors) {
  const auto parts = nf4_parts();
  const std::string state = "x.weight.quant_state.bitsandbytes__nf4";
  expect_refused(with(parts, zeros("x.weight", DType::u8, {64, 1})),
                 "expected [4, 64] as floats, or U8 [128, 1] with 2 codes a byte, got U8 [64, 1]");
  expect_refused(with(parts, zeros("x.weight", DType::u8, {4, 32})), "got U8 [4, 32]");
  expect_refused(without(parts, state), "needs a tensor \"" + state + "\", which is missing");
  expect_refused(without(parts, "x.weight.absmax"), "needs a tensor \"x.weight.absmax\"");
  expect_refused(without(parts, "x.weight.quant_map"), "needs a tensor \"x.weight.quant_map\"");
  expect_refused(with(parts, zeros("x.weight.absmax", DType::f32, {3})),
                 "expected F32 [4], got F32 [3]");
  expect_refused(with(parts, zeros("x.weight.absmax", DType::u8, {4})),
                 "expected F32 [4], got U8 [4]");
  expect_refused(with(parts, zeros("x.weight.quant_map", DType::f32, {15})),
                 "expected F32 [16], got F32 [15]");
  expect_refused(with(parts, zeros("x.weight.quant_map", DType::f16, {16})), "expected F32 [16]");
  expect_refused(with(parts, zeros(state, DType::f32, {4})), "expected U8 of at most");
  expect_refused(with(parts, zeros(state, DType::u8, {100'000})), "expected U8 of at most");
  const std::string fp4_state = "x.weight.quant_state.bitsandbytes__fp4";
  expect_refused(without(with(parts, stored_text(fp4_state, nf4_state("[4, 64]"))), state),
                 "key \"quant_type\": expected \"fp4\", got \"nf4\"");
}

TEST_F(WeightSourceTest, RefusesAnInconsistentQuantState) {
  const auto refused = [&](const std::string& state, std::string_view fragment) {
    expect_refused(with(nf4_parts(), stored_text("x.weight.quant_state.bitsandbytes__nf4", state)),
                   fragment);
  };
  refused("", "at byte 0: not JSON");
  refused("[]", "expected a JSON object, got []");
  refused("{\"quant_type\":\"nf4\",\"quant_type\":\"nf4\"}", "appears twice");
  refused("{}", "key \"quant_type\": expected \"nf4\", got no such key");
  refused(R"({"quant_type":"fp4","blocksize":64,"shape":[4,64]})", "got \"fp4\"");
  refused(nf4_state("[64, 4]"), "key \"shape\": expected [4, 64], got [64,4]");
  refused(nf4_state("[256]"), "key \"shape\": expected [4, 64]");
  refused(nf4_state("\"4, 64\""), "key \"shape\": expected [4, 64]");
  for (const char* block : {"0", "-64", "64.0", "\"64\"", "null", "1e3", "99999999999"})
    refused(nf4_state("[4, 64]", "", block), "key \"blocksize\": expected an integer from 1");
  refused(R"({"quant_type":"nf4","shape":[4,64]})", "key \"blocksize\": expected an integer");
  refused(nf4_state("[4, 64]", "", "32"), "expected F32 [8], got F32 [4]");
  refused(nf4_state("[4, 64]", kNested), "needs a tensor \"x.weight.nested_absmax\"");
}

TEST_F(WeightSourceTest, RefusesInconsistentDoubleQuantization) {
  const auto parts = nested_parts();
  const auto refused = [&](std::string_view more, std::string_view fragment) {
    expect_refused(with(parts, stored_text("x.weight.quant_state.bitsandbytes__nf4",
                                           nf4_state("[4, 64]", more))),
                   fragment);
  };
  refused("", "key \"nested_blocksize\": expected an integer from 1");
  refused(R"(,"nested_blocksize":0,"nested_offset":0)", "key \"nested_blocksize\"");
  refused(R"(,"nested_blocksize":256)", "key \"nested_offset\": expected a number");
  refused(R"(,"nested_blocksize":256,"nested_offset":"0")", "key \"nested_offset\"");
  refused(R"(,"nested_blocksize":256,"nested_offset":1e39)", "key \"nested_offset\"");
  refused(R"(,"nested_blocksize":256,"nested_offset":0,"nested_dtype":"float16")",
          "key \"nested_dtype\": expected \"float32\", got \"float16\"");
  refused(R"(,"nested_blocksize":3,"nested_offset":0)", "expected F32 [2], got F32 [1]");
  expect_refused(without(parts, "x.weight.nested_quant_map"),
                 "needs a tensor \"x.weight.nested_quant_map\"");
  expect_refused(with(parts, zeros("x.weight.nested_quant_map", DType::f32, {16})),
                 "expected F32 [256]");
  expect_refused(with(parts, zeros("x.weight.absmax", DType::f32, {4})),
                 "expected U8 [4], got F32 [4]");
}

TEST_F(WeightSourceTest, ReadsAlignedPartsAndKeepsTheBuffer) {
  const Checkpoint checkpoint = checkpoint_of(
      {stored_text("pad", "p"), stored<float>("big", DType::f32, {3}, {1.0f, 2.0f, 3.0f}),
       stored_text("more", "pp"), stored<float>("small", DType::f32, {1}, {4.0f})});
  LoadedWeight loaded;
  read_weight(checkpoint, *find_weight(checkpoint, "big", Shape{3}, false), loaded);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(loaded.parts.data.data()) % 64, 0u);
  EXPECT_EQ(loaded.parts.data.size(), 12u);
  EXPECT_TRUE(loaded.parts.scales.empty());
  const std::byte* storage = loaded.storage.data();
  read_weight(checkpoint, *find_weight(checkpoint, "small", Shape{1}, false), loaded);
  EXPECT_EQ(loaded.storage.data(), storage);
  EXPECT_EQ(loaded.parts.data.size(), 4u);
  float value = 0;
  std::memcpy(&value, loaded.parts.data.data(), 4);
  EXPECT_EQ(value, 4.0f);

  const Checkpoint quantized = Checkpoint::open(test::golden_dir() / "ops" / "nf4.safetensors");
  read_weight(quantized, *find_weight(quantized, "nested.weight", Shape{96, 256}, true), loaded);
  for (const auto& part : {loaded.parts.data, loaded.parts.scales, loaded.parts.quant_map,
                           loaded.parts.nested_scales, loaded.parts.nested_quant_map}) {
    EXPECT_FALSE(part.empty());
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(part.data()) % 64, 0u);
  }
}

}  // namespace
}  // namespace bitaxon
