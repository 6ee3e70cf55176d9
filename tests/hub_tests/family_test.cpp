// Downloads a model of each family and runs it by its name, with no flag that describes the model.
#include <gtest/gtest.h>

#include <filesystem>

#include "bitaxon/tokenizer.h"
#include "fake_hub.h"
#include "formats/json.h"
#include "support/small_models.h"
#include "support/source_tree.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

namespace fs = std::filesystem;

struct FamilyModel {
  const char* name;
  const char* tokenizer;  ///< a folder of tests/golden/tokenizers
  const char* config;     ///< without vocab_size

  friend void PrintTo(const FamilyModel& model, std::ostream* out) { *out << model.name; }
};

constexpr FamilyModel kModels[] = {
    {"qwen2", "qwen3", R"({"model_type": "qwen2", "hidden_size": 32, "intermediate_size": 48,
      "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2})"},
    {"qwen3", "qwen3", R"({"model_type": "qwen3", "hidden_size": 32, "intermediate_size": 48,
      "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
      "tie_word_embeddings": true, "rope_parameters": {"rope_type": "default",
      "rope_theta": 1000000.0}})"},
    {"qwen3_moe", "qwen3", R"({"model_type": "qwen3_moe", "hidden_size": 32,
      "moe_intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
      "num_key_value_heads": 2, "head_dim": 8, "num_experts": 4, "num_experts_per_tok": 2,
      "norm_topk_prob": true})"},
    {"mamba", "gpt_neox", R"({"model_type": "mamba", "hidden_size": 32, "num_hidden_layers": 2})"},
    {"falcon_mamba", "falcon", R"({"model_type": "falcon_mamba", "hidden_size": 32, "expand": 16,
      "intermediate_size": 64, "num_hidden_layers": 2, "tie_word_embeddings": false})"},
    {"jamba", "jamba", R"({"model_type": "jamba", "hidden_size": 32, "intermediate_size": 48,
      "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2,
      "attn_layer_period": 4, "attn_layer_offset": 2, "num_experts": 4})"},
};

class FamilyDownload : public HubTest, public testing::WithParamInterface<FamilyModel> {
 protected:
  FamilyDownload() {
    const fs::path tokenizer = golden_dir() / "tokenizers" / GetParam().tokenizer;
    for (const char* name : {"tokenizer.json", "tokenizer_config.json", "tokenizer.model"})
      if (fs::exists(tokenizer / name)) fs::copy_file(tokenizer / name, folder_ / name);
    Json config = Json::parse(GetParam().config);
    config["vocab_size"] = Tokenizer::find(folder_.path())->vocab_size();
    write_random_model(folder_.path(), config.dump(), 5);
    hub_.add_folder(folder_.path());
  }

  Json answer(const std::string& model) {
    return run_json(
        {"run", "--json", "-m", model, "--seed", "1", "--max-tokens", "6", "The quick brown fox"},
        "", surroundings_);
  }

  TemporaryFolder folder_;
};

TEST_P(FamilyDownload, RunsByItsName) {
  ASSERT_EQ(run_download().status, 0);
  const Json by_name = answer("owner/name"), by_folder = answer(folder_.path().string());
  EXPECT_GT(by_name["token_ids"].size(), 0U);
  EXPECT_EQ(by_name["token_ids"], by_folder["token_ids"]);
  EXPECT_EQ(by_name["text"], by_folder["text"]);
}

INSTANTIATE_TEST_SUITE_P(Families, FamilyDownload, testing::ValuesIn(kModels),
                         [](const auto& model) { return std::string(model.param.name); });

}  // namespace
}  // namespace bitaxon::test
