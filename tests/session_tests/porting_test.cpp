// Tests of a Bit-Axon model that is made from a Qwen2.5 model.
#include "bitaxon/porting.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "bitaxon/session.h"
#include "format_tests/stored_tensor.h"
#include "formats/safetensors.h"
#include "platform/file.h"
#include "support/errors.h"
#include "support/qwen_model.h"
#include "support/temporary_folder.h"

namespace bitaxon::test {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kWidth = 128, kModel = 256, kHidden = 512;

class PortingTest : public testing::Test {
 protected:
  PortingTest() {
    write_qwen(source_);
    options_.source = source_;
    options_.spec = preset_spec("small");
    options_.dtype = DType::f32;
  }

  /// Writes the model into a new folder and returns the folder.
  fs::path port() {
    const fs::path output = folder_ / fmt::format("model_{}", n_models_++);
    EXPECT_TRUE(Porting::plan(options_).write(output).has_value());
    return output;
  }
  void expect_refusal(ErrorKind kind, std::initializer_list<std::string_view> fragments) {
    expect_error([&] { Porting::plan(options_); }, kind, fragments);
  }
  void use(const std::map<std::string, NamedTensor>& tensors) {
    tensors_ = tensors;
    write_tensors(source_ / "model.safetensors", tensors_);
  }

  TemporaryFolder folder_;
  const fs::path source_ = folder_ / "qwen";
  std::map<std::string, NamedTensor> tensors_ = qwen_tensors();
  PortOptions options_;
  int n_models_ = 0;
};

std::string bytes_of(const fs::path& file) { return read_whole_file(file, std::uint64_t{1} << 30); }

/// A matrix of a model as floats.
struct Matrix {
  std::vector<float> values;
  std::int64_t cols;
  float at(std::int64_t row, std::int64_t col) const {
    return values[static_cast<std::size_t>(row * cols + col)];
  }
};

TEST_F(PortingTest, TakesRowsNormsAndTheSharedExpertFromTheSource) {
  const Checkpoint model = Checkpoint::open(port());
  const auto& embedding = tensors_.at("model.embed_tokens.weight").values;
  const Matrix rows{floats_of(model, "embed_tokens.weight"), kWidth};
  const auto source_row = [&](std::int64_t id, std::int64_t col) {
    return embedding[static_cast<std::size_t>(id * kWidth + col)];
  };
  EXPECT_EQ(rows.at(300, 5), source_row(300, 5));
  EXPECT_EQ(rows.at(1023, 5), source_row(kQwenTokens - 2, 5));  // <|im_end|>
  EXPECT_EQ(model.find("lm_head.weight"), nullptr);             // tied

  const auto norm = floats_of(model, "layer_1.post_attention_norm.weight");
  const auto& source_norm = tensors_.at("model.layers.1.post_attention_layernorm.weight").values;
  for (std::size_t i = 0; i < norm.size(); ++i)
    EXPECT_EQ(norm[i], i < source_norm.size() ? source_norm[i] : 1) << i;

  const std::string shared = "layer_1.moe.shared_expert.";
  const Matrix gate{floats_of(model, shared + "gate_proj.weight"), kModel};
  const Matrix source_gate{tensors_.at("model.layers.1.mlp.gate_proj.weight").values, kWidth};
  EXPECT_EQ(gate.at(kHidden - 1, kWidth - 1), source_gate.at(kHidden - 1, kWidth - 1));
  EXPECT_EQ(gate.at(7, kWidth), 0);
  const Matrix down{floats_of(model, shared + "down_proj.weight"), kHidden};
  const Matrix source_down{tensors_.at("model.layers.1.mlp.down_proj.weight").values, 600};
  EXPECT_EQ(down.at(kWidth - 1, kHidden - 1), source_down.at(kWidth - 1, kHidden - 1));
  EXPECT_EQ(down.at(kWidth, 0), 0);
}

/// The standard deviation of an expert's differences from the shared expert.
double noise_of(const Checkpoint& model, std::size_t expert) {
  const auto shared = floats_of(model, "layer_1.moe.shared_expert.up_proj.weight");
  const auto experts = floats_of(model, "layer_1.moe.switch_mlp.up_proj.weight");
  double squares = 0;
  for (std::size_t i = 0; i < shared.size(); ++i) {
    const double noise = double{experts[expert * shared.size() + i]} - double{shared[i]};
    squares += noise * noise;
  }
  return std::sqrt(squares / static_cast<double>(shared.size()));
}

TEST_F(PortingTest, ExpertsAreCopiesWithNoise) {
  Checkpoint model = Checkpoint::open(port());
  EXPECT_EQ(noise_of(model, 0), 0);
  for (const std::size_t expert : {1U, 2U, 3U}) EXPECT_NEAR(noise_of(model, expert), 0.02, 2e-4);
  options_.expert_noise = 0.1;  // the weights have a deviation of 0.05
  EXPECT_NEAR(noise_of(Checkpoint::open(port()), 1), 0.005, 1e-4);
  options_.expert_noise = 0;
  EXPECT_EQ(noise_of(Checkpoint::open(port()), 1), 0);
}

TEST_F(PortingTest, OtherWeightsBeginAsTheOriginalProgramBeginsThem) {
  const Checkpoint model = Checkpoint::open(port());
  const auto a_log = floats_of(model, "layer_0.ssm.A_log");
  for (std::size_t i = 0; i < a_log.size(); ++i)
    EXPECT_EQ(a_log[i], std::log(static_cast<float>(i % 4 + 1)));
  for (const float value : floats_of(model, "layer_0.ssm.D")) EXPECT_EQ(value, 1);
  for (const float value : floats_of(model, "layer_0.ssm.conv1d.bias")) EXPECT_EQ(value, 0);
  const auto expect_uniform = [&](const std::string& name, double bound) {
    double squares = 0, largest = 0;
    const auto values = floats_of(model, name);
    for (const float value : values) {
      squares += double{value} * double{value};
      largest = std::max(largest, std::abs(double{value}));
    }
    EXPECT_LE(largest, bound) << name;
    EXPECT_NEAR(squares / static_cast<double>(values.size()), bound * bound / 3, bound * bound / 20)
        << name;
  };
  expect_uniform("input_proj.weight", 1 / std::sqrt(kWidth));
  expect_uniform("layer_0.ssm.in_proj.weight", 1 / std::sqrt(kModel));
  expect_uniform("layer_0.ssm.conv1d.weight", 1 / std::sqrt(2 * kModel * 2));
  expect_uniform("layer_0.ssm.dt_proj.bias", 1);
  expect_uniform("layer_1.attention.q_proj.weight", 1 / std::sqrt(kModel));
}

TEST_F(PortingTest, ListsTheRuleOfEveryWeight) {
  std::map<std::string, KeyMapping> rules;
  for (const KeyMapping& mapping : build_key_mappings(options_.spec))
    rules[mapping.target] = mapping;
  const auto expect_rule = [&](const char* target, const char* source, const char* rule) {
    ASSERT_TRUE(rules.contains(target)) << target;
    EXPECT_EQ(rules[target].source, source) << target;
    EXPECT_EQ(name_of(rules[target].rule), rule) << target;
  };
  expect_rule("embed_tokens.weight", "model.embed_tokens.weight", "vocab_extract");
  expect_rule("lm_head.weight", "model.embed_tokens.weight", "vocab_extract");
  expect_rule("layer_0.input_norm.weight", "model.layers.0.input_layernorm.weight",
              "pad_2048_2560");
  expect_rule("layer_3.post_ssm_norm.weight", "model.layers.3.post_attention_layernorm.weight",
              "pad_2048_2560");
  expect_rule("layer_1.moe.shared_expert.up_proj.weight", "model.layers.1.mlp.up_proj.weight",
              "moe_project");
  expect_rule("layer_1.moe.switch_mlp.up_proj.weight", "", "copy_perturb");
  expect_rule("layer_1.moe.gate.weight", "", "default");
  expect_rule("input_proj.weight", "", "default");
  EXPECT_EQ(rules.size(), build_key_mappings(options_.spec).size());
}

TEST_F(PortingTest, TheModelLoadsAndItsTokenizerKnowsChats) {
  options_.dtype = DType::f16;
  options_.base_model = "owner/qwen";
  const fs::path output = port();
  const Session session = open_session({.model = output.string()}, "cpu");
  EXPECT_TRUE(session.warnings.empty());
  ASSERT_TRUE(session.vocabulary.has_value());
  const std::vector<std::int32_t> ids = session.vocabulary->encode("<|im_start|>ab<|im_end|>");
  EXPECT_EQ(ids, (std::vector<std::int32_t>{1022, 256 + 1, 1023}));
  EXPECT_EQ(Checkpoint::open(output).metadata().at("base_model"), "owner/qwen");
  const std::string config = bytes_of(output / "tokenizer_config.json");
  EXPECT_EQ(config.find("tool_call"), config.npos) << config;
  EXPECT_EQ(config.find("chat_template"), config.npos) << config;
  EXPECT_NE(config.find(fmt::format("\"{}\"", kQwenTokens - 2)), config.npos) << config;
}

TEST_F(PortingTest, TheSeedDecidesTheBytes) {
  const std::string bytes = bytes_of(port() / "model.safetensors");
  EXPECT_EQ(bytes_of(port() / "model.safetensors"), bytes);
  options_.seed = 7;
  EXPECT_NE(bytes_of(port() / "model.safetensors"), bytes);
}

TEST_F(PortingTest, ReportsItsProgressAndItsParts) {
  const Porting porting = Porting::plan(options_);
  EXPECT_EQ(porting.ids().size(), 1024U);
  std::uint64_t done = 0, total = 1;
  const auto report = porting.write(folder_ / "new", [&](std::uint64_t now, std::uint64_t all) {
    done = now;
    total = all;
  });
  EXPECT_EQ(done, total);
  EXPECT_EQ(report->total.bytes, total);
  EXPECT_EQ(report->parts.at("experts").from_source, report->parts.at("experts").parameters);
  EXPECT_EQ(report->parts.at("ssm").from_source, 0);
}

TEST_F(PortingTest, AnInterruptionLeavesNoFolder) {
  const std::atomic<bool> interrupted{true};
  EXPECT_FALSE(Porting::plan(options_).write(folder_ / "new", {}, &interrupted).has_value());
  EXPECT_FALSE(fs::exists(folder_ / "new"));
}

TEST_F(PortingTest, RefusesSourcesThatDoNotFit) {
  use(qwen_tensors({.width = 64}));
  expect_refusal(ErrorKind::invalid_argument, {"width 128", "64"});
  use(qwen_tensors({.d_hidden = 500}));
  expect_refusal(ErrorKind::format, {"mlp.gate_proj", "at least 512 rows", "500"});
  use(qwen_tensors({.n_layers = 3}));
  expect_refusal(ErrorKind::format, {"model.layers.3.input_layernorm", "Qwen2.5"});
  tensors_ = qwen_tensors();
  tensors_.at("model.embed_tokens.weight") = random_tensor({1000, kWidth}, 1);
  use(tensors_);
  expect_refusal(ErrorKind::format, {"embed_tokens", "tokenizer id 1000"});
  fs::remove(source_ / "tokenizer.json");
  expect_refusal(ErrorKind::io, {"tokenizer.json"});
}

TEST_F(PortingTest, RefusesANumberThatIsNotOne) {
  tensors_ = qwen_tensors();
  tensors_.at("model.layers.1.mlp.up_proj.weight").values[3] = NAN;
  use(tensors_);
  expect_error([&] { Porting::plan(options_).write(folder_ / "new"); }, ErrorKind::format,
               {"up_proj", "element 3"});
  EXPECT_FALSE(fs::exists(folder_ / "new"));
}

TEST_F(PortingTest, RefusesOptionsOutOfRange) {
  options_.expert_noise = -1;
  expect_refusal(ErrorKind::invalid_argument, {"expert_noise", "-1"});
  options_.expert_noise = {};
  options_.ids = VocabIds{{0, 5000}};
  expect_refusal(ErrorKind::invalid_argument, {"below 1024", "5000"});
  options_.ids = {};
  options_.spec = preset_spec("qwen3-0.6b");
  expect_refusal(ErrorKind::invalid_argument, {"Bit-Axon"});
}

}  // namespace
}  // namespace bitaxon::test
