// Loads models of published families whose files lack something, or have something that the model
// does not need.
#include <gtest/gtest.h>

#include "bitaxon/devices.h"
#include "bitaxon/generate.h"
#include "bitaxon/rewrite.h"
#include "model/inspection.h"
#include "support/errors.h"
#include "support/small_models.h"
#include "support/temporary_folder.h"

namespace bitaxon::test {
namespace {

std::string mamba_config(const std::string& more) {
  return R"({"model_type": "mamba", "vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2,
             "state_size": 3)" +
         more + "}";
}

std::string qwen3_config(const std::string& more) {
  return R"({"model_type": "qwen3", "vocab_size": 40, "hidden_size": 40, "num_hidden_layers": 1,
             "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 4,
             "intermediate_size": 24, "max_position_embeddings": 64, "tie_word_embeddings": true)" +
         more + "}";
}

std::map<std::string, NamedTensor> tensors_of(const std::string& config) {
  std::vector<std::string> warnings;
  return random_tensors(describe_model(config, "config.json", warnings), 3);
}

/// The folder of a model.
class FamilyLoading : public testing::Test {
 protected:
  void write(const std::string& config, const std::map<std::string, NamedTensor>& tensors) {
    write_text(folder_ / "config.json", config);
    write_tensors(folder_ / "model.safetensors", tensors);
  }
  std::vector<float> logits(const char* device) {
    OpenModel open = open_model(device, 1, folder_.path());
    EXPECT_GT(open.model.packed_bytes(), 0U);
    State state = open.model.new_state();
    return feed_all(open.model, state, std::vector<std::int32_t>{1, 2, 3, 4, 5});
  }
  GenerateResult generated(bool ignores_ends = false) {
    OpenModel open = open_model("reference", 1, folder_.path());
    State state = open.model.new_state();
    GenerateOptions options;
    options.sampler.temperature = 0;
    options.max_tokens = 4;
    options.ignore_eos = ignores_ends;
    return generate(open.model, state, nullptr, std::vector<std::int32_t>{5, 6, 7}, options);
  }
  void expect_refused(ErrorKind kind, std::initializer_list<std::string_view> parts) {
    expect_error([&] { open_model("reference", 1, folder_.path()); }, kind, parts);
  }

  TemporaryFolder folder_;
};

TEST_F(FamilyLoading, MambaHasTheBiasesOfItsFileIfConfigJsonDoesNotSay) {
  const auto with = tensors_of(mamba_config(R"(, "use_bias": true)"));
  auto without = with;
  std::erase_if(without, [](const auto& tensor) {
    return tensor.first.ends_with("in_proj.bias") || tensor.first.ends_with("out_proj.bias");
  });
  ASSERT_EQ(without.size() + 4, with.size());
  for (const char* device : {"reference", "cpu"}) {
    write(mamba_config(R"(, "use_bias": true)"), with);
    const std::vector<float> biased = logits(device);
    write(mamba_config(R"(, "use_bias": false)"), without);
    const std::vector<float> plain = logits(device);
    EXPECT_NE(biased, plain);
    for (const char* key : {"", R"(, "use_bias": null)"}) {
      SCOPED_TRACE(key);
      write(mamba_config(key), with);
      EXPECT_TRUE(same_bits(logits(device), biased));
      write(mamba_config(key), without);
      EXPECT_TRUE(same_bits(logits(device), plain));
      EXPECT_TRUE(inspect_files(model_files(folder_.path())).warnings.empty());
    }
  }
}

TEST_F(FamilyLoading, StoredFrequenciesGiveNoWarning) {
  auto tensors = tensors_of(qwen3_config(""));
  tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = {{2}, {1, 0.01F}};
  write(qwen3_config(""), tensors);
  EXPECT_TRUE(inspect_files(model_files(folder_.path())).warnings.empty());
}

TEST_F(FamilyLoading, TheFirstReleaseOfMambaIsRefusedBeforeItsWeightsAreMissed) {
  write_text(folder_ / "config.json", R"({"d_model": 768, "n_layer": 24, "ssm_cfg": {}})");
  write_text(folder_ / "pytorch_model.bin", "PK\3\4");
  expect_refused(ErrorKind::unsupported, {"config.json", "-hf"});
  expect_error([&] { inspect_files(model_files(folder_.path())); }, ErrorKind::unsupported,
               {"config.json", "-hf"});
}

TEST_F(FamilyLoading, TextsEndWithoutATokenizerToo) {
  const auto tensors = tensors_of(qwen3_config(""));
  write(qwen3_config(""), tensors);
  const std::vector<std::int32_t> ids = generated().token_ids;
  ASSERT_EQ(ids.size(), 4U);
  const std::string end = std::to_string(ids[0]);
  const auto expect_end = [&] {
    const GenerateResult result = generated();
    EXPECT_EQ(result.finish_reason, FinishReason::stop);
    EXPECT_EQ(result.stop_token, ids[0]);
    EXPECT_EQ(generated(true).token_ids, ids);
  };
  for (const std::string& ends : {end, end + ".0", "[-1, " + end + ".0]"}) {
    SCOPED_TRACE(ends);
    write(qwen3_config(R"(, "eos_token_id": )" + ends), tensors);
    expect_end();
    write(qwen3_config(""), tensors);
    write_text(folder_ / "generation_config.json", R"({"eos_token_id": )" + ends + "}");
    expect_end();
    std::filesystem::remove(folder_ / "generation_config.json");
  }
  write_text(folder_ / "generation_config.json", R"({"eos_token_id": "x"})");
  expect_refused(ErrorKind::format,
                 {"generation_config.json: eos_token_id: expected an id or a list", "got \"x\""});
}

TEST_F(FamilyLoading, AWarningSaysThatNothingIsQuantized) {
  write(qwen3_config(""), tensors_of(qwen3_config("")));
  const ModelFiles files = model_files(folder_.path());
  std::vector<std::string> warnings;
  Model::load(open_device("reference").backend, files, {.quantize = "mlx"}, warnings);
  ASSERT_EQ(warnings.size(), 1U);
  const std::string expected = folder_.path().string() +
                               ": nothing is quantized: expected matrices whose rows divide into "
                               "groups of 64, got none";
  EXPECT_EQ(warnings[0], expected);
  EXPECT_EQ(Rewrite::quantize(files).warnings(), warnings);
}

TEST_F(FamilyLoading, ErrorsOfTheQuantizationNameConfigJson) {
  write(qwen3_config(R"(, "quantization_config": true)"), tensors_of(qwen3_config("")));
  expect_refused(ErrorKind::format,
                 {"/config.json: quantization_config: expected an object, got true"});
}

}  // namespace
}  // namespace bitaxon::test
