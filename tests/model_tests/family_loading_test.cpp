// Loads models of published families whose files lack something, or have something that the model
// does not need.
#include <gtest/gtest.h>

#include "bitaxon/generate.h"
#include "model/inspection.h"
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
  }
}

}  // namespace
}  // namespace bitaxon::test
