#include "formats/quantization_config.h"

#include <gtest/gtest.h>

#include "format_tests/stored_tensor.h"
#include "formats/json.h"
#include "support/errors.h"
#include "support/temporary_folder.h"

namespace bitaxon {
namespace {

using test::expect_error;
using test::TemporaryFolder;

/// A block of a config.json under the key that mlx writes. Empty for no block.
std::string under_its_key(const std::string& block) {
  return block.empty() ? "" : R"({"quantization":)" + block + "}";
}

/// A checkpoint with the weight "a.b.weight" [4, 128] in one of the formats.
class QuantizationConfigTest : public testing::Test {
 protected:
  WeightSource affine(std::int64_t bits, std::int64_t group_size) {
    return find({zeros("a.b.weight", DType::u32, {4, 4 * bits}),
                 zeros("a.b.scales", DType::f16, {4, 128 / group_size}),
                 zeros("a.b.biases", DType::f16, {4, 128 / group_size})});
  }
  WeightSource with_8bit_scales(std::int64_t bits, std::int64_t group_size) {
    return find({zeros("a.b.weight", DType::u32, {4, 4 * bits}),
                 zeros("a.b.scales", DType::u8, {4, 128 / group_size})});
  }
  WeightSource bitsandbytes(const std::string& kind) {
    return find({zeros("a.b.weight", DType::u8, {256, 1}),
                 zeros("a.b.weight.absmax", DType::f32, {8}),
                 zeros("a.b.weight.quant_map", DType::f32, {16}),
                 stored_text("a.b.weight.quant_state.bitsandbytes__" + kind,
                             R"({"quant_type":")" + kind +
                                 R"(","blocksize":64,"dtype":"float16","shape":[4,128]})")});
  }
  WeightSource int8() {
    return find({zeros("a.b.weight", StoredType::named("I8").value(), {4, 128}),
                 zeros("a.b.SCB", DType::f32, {4}),
                 zeros("a.b.weight_format", DType::u8, StoredShape{})});
  }
  WeightSource floats() { return find({zeros("a.b.weight", DType::bf16, {4, 128})}); }

  void expect_fits(const std::string& block, const WeightSource& source) {
    SCOPED_TRACE(block);
    EXPECT_NO_THROW(
        QuantizationConfig(under_its_key(block), "config.json").check(*checkpoint_, source));
  }
  void expect_refused(const std::string& block, const WeightSource& source,
                      std::string_view message) {
    SCOPED_TRACE(block);
    const QuantizationConfig config(under_its_key(block), "config.json");
    expect_error([&] { config.check(*checkpoint_, source); }, ErrorKind::format,
                 path_.string() + ": tensor \"a.b.weight\": ", message);
  }

 private:
  WeightSource find(const std::vector<StoredTensor>& tensors) {
    write_checkpoint(path_, tensors);
    checkpoint_ = Checkpoint::open(path_);
    return find_weight(*checkpoint_, "a.b.weight", {4, 128}, true).value();
  }

  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "m.safetensors";
  std::optional<Checkpoint> checkpoint_;
};

TEST_F(QuantizationConfigTest, ComparesTheBlockWithEveryQuantizedWeight) {
  const std::string block = R"({"group_size": 64, "bits": 4, "mode": "affine"})";
  expect_fits(block, affine(4, 64));
  expect_fits(block, floats());
  expect_refused(block, affine(8, 64),
                 "expected q4_affine_g64, as config.json says (quantization, \"quantization\"), "
                 "got q8_affine_g64");
  expect_refused(block, affine(4, 32), "got q4_affine_g32");
  expect_refused(block, with_8bit_scales(4, 32), "expected q4_affine_g64");
  expect_fits("", affine(3, 32));
  expect_fits("{}", affine(3, 32));
}

TEST_F(QuantizationConfigTest, AnEntryCountsMoreThanTheBlock) {
  const std::string block =
      R"({"group_size":32,"bits":4,"mode":"mxfp4","a.b":{"group_size":64,"bits":8}})";
  expect_fits(block, affine(8, 64));  // an entry without a mode is affine
  expect_refused(block, with_8bit_scales(4, 32), "(quantization, \"a.b\"), got mxfp4_g32");
  expect_refused(block, floats(), "expected q8_affine_g64");
  const std::string not_quantized = R"({"group_size":64,"bits":4,"a.b":false})";
  expect_fits(not_quantized, floats());
  expect_refused(not_quantized, affine(4, 64), "expected floats");
  expect_fits(R"({"group_size":64,"bits":4,"a.b":true})", affine(4, 64));
}

TEST_F(QuantizationConfigTest, KnowsTheModesOfMlx) {
  expect_fits(R"({"mode":"mxfp4"})", with_8bit_scales(4, 32));
  expect_fits(R"({"mode":"nvfp4","bits":4,"group_size":16})", with_8bit_scales(4, 16));
  expect_fits(R"({"mode":"mxfp8","bits":8,"group_size":32})", with_8bit_scales(8, 32));
  expect_refused(R"({"mode":"mxfp4"})", with_8bit_scales(4, 16), "expected mxfp4_g32");
}

TEST_F(QuantizationConfigTest, KnowsBitsandbytes) {
  const std::string nf4 =
      R"({"quant_method":"bitsandbytes","load_in_4bit":true,"bnb_4bit_quant_type":"nf4"})";
  const std::string fp4 = R"({"quant_method":"bitsandbytes","load_in_4bit":true})";
  const std::string eight = R"({"quant_method":"bitsandbytes","load_in_8bit":true})";
  expect_fits(nf4, bitsandbytes("nf4"));
  expect_fits(fp4, bitsandbytes("fp4"));
  expect_fits(eight, int8());
  expect_refused(nf4, bitsandbytes("fp4"), "expected nf4, as config.json says");
  expect_refused(eight, bitsandbytes("nf4"), "expected int8");
  expect_refused(fp4, int8(), "got int8");
}

TEST(QuantizationConfig, RefusesOtherMethodsByName) {
  const std::pair<const char*, const char*> methods[] = {
      {"gptq", "GPTQ is not read; F32"},
      {"awq", "AWQ is not read"},
      {"fp8", "FP8 with scales of blocks is not read"},
      {"compressed-tensors", "compressed-tensors is not read"},
      {"eetq", "\"eetq\" is not read"},
      {"a\nb", "\"a\\u{a}b\" is not read"}};
  for (const auto& [method, message] : methods)
    expect_error(
        [method = method] {
          const Json block = {{"quant_method", method}, {"bits", 4}};
          QuantizationConfig(Json{{"quantization_config", block}}.dump(), "config.json");
        },
        ErrorKind::unsupported, "config.json: quantization_config: quant_method: ", message);
}

TEST(QuantizationConfig, RefusesWrongTypes) {
  const auto refused = [](const char* block, std::string_view message) {
    expect_error([&] { QuantizationConfig(under_its_key(block), "config.json"); },
                 ErrorKind::format, "config.json: quantization: ", message);
  };
  refused("3", "quantization: expected an object, got 3");
  refused(R"({"quant_method":7})", "quant_method: expected a string, got 7");
  refused(R"({"bits":"4"})", "bits: expected a positive integer, got \"4\"");
  refused(R"({"bits":0})", "bits: expected a positive integer, got 0");
  refused(R"({"group_size":6.5})", "group_size: expected a positive integer, got 6.5");
  refused(R"({"mode":"x"})", "mode: expected affine, mxfp4, mxfp8 or nvfp4, got \"x\"");
  refused(R"({"mode":4})", "mode: expected a string, got 4");
  refused(R"({"bits":4,"m.n":{"bits":[]}})", "m.n: bits: expected a positive integer, got []");
}

TEST(QuantizationKeys, GiveTheCommonFormAndTheExceptions) {
  const auto weight = [](std::string name, std::int64_t rows, WeightFormat format, int bits) {
    StoredWeight stored{.name = std::move(name), .shape = Shape{rows, 64}, .desc = {}};
    stored.desc.format = format;
    stored.desc.rows = rows;
    stored.desc.cols = 64;
    stored.desc.group_size = 64;
    stored.desc.bits = bits;
    return stored;
  };
  const std::vector<StoredWeight> mlx = {weight("router.weight", 4, WeightFormat::affine, 8),
                                         weight("a.weight", 40, WeightFormat::affine, 4),
                                         weight("b.weight", 40, WeightFormat::affine, 4),
                                         weight("c.weight", 40, WeightFormat::dense, 4)};
  const Json keys = quantization_keys(mlx);
  EXPECT_EQ(keys["quantization"], Json::parse(R"({"group_size":64,"bits":4,"mode":"affine",
      "router":{"group_size":64,"bits":8,"mode":"affine"}})"));
  EXPECT_EQ(keys["quantization_config"], keys["quantization"]);

  const std::vector<StoredWeight> nf4 = {weight("a.weight", 40, WeightFormat::codebook, 4), mlx[3]};
  const Json block = quantization_keys(nf4)["quantization_config"];
  EXPECT_EQ(block["bnb_4bit_quant_type"], "nf4");
  EXPECT_EQ(block["llm_int8_skip_modules"], Json({"lm_head", "c"}));

  EXPECT_EQ(quantization_keys(std::vector{mlx[3]}), Json::object());
  EXPECT_EQ(quantization_keys(std::vector{mlx[0], nf4[0]}), Json::object());
}

TEST(QuantizationConfig, TakesTheBlockOfMlxFirst) {
  EXPECT_EQ(quantization_block(Json::parse(R"({"quantization":{"bits":4},
                                               "quantization_config":{"bits":8}})")),
            R"({"quantization":{"bits":4}})");
  EXPECT_EQ(quantization_block(Json::parse(R"({"quantization":null,
                                               "quantization_config":{"bits":8}})")),
            R"({"quantization_config":{"bits":8}})");
  EXPECT_EQ(quantization_block(Json::parse("{}")), "");
}

}  // namespace
}  // namespace bitaxon
