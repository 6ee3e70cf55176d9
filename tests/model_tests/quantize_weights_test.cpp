#include "model/quantize_weights.h"

#include <gtest/gtest.h>

#include "model/random_weights.h"

namespace bitaxon {
namespace {

/// The format of each weight of a model whose matrices have codes, by the name of its tensor.
std::map<std::string, std::string> formats_of(const std::string& config, const Quantization& how) {
  std::vector<std::string> warnings;
  const ModelSpec spec = describe_model(config, "config.json", warnings);
  std::vector<FoundWeight> found = random_found(spec);
  quantize_found(spec, how, "model", found, warnings);
  EXPECT_TRUE(warnings.empty());
  std::map<std::string, std::string> formats;
  for (const FoundWeight& weight : found)
    formats[weight.slot.name()] = weight.loaded().format_name();
  return formats;
}

constexpr const char* kExperts = R"({
  "model_type": "qwen3_moe", "vocab_size": 131, "hidden_size": 128, "num_hidden_layers": 1,
  "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32, "num_experts": 5,
  "num_experts_per_tok": 2, "moe_intermediate_size": 64, "tie_word_embeddings": true})";

TEST(QuantizeWeights, PublishedModelsGetAffineCodesAsInMlxLm) {
  const auto formats = formats_of(kExperts, {.bits = 4});
  EXPECT_EQ(formats.at("model.embed_tokens.weight"), "q4_affine_g64");
  EXPECT_EQ(formats.at("model.layers.0.self_attn.q_proj.weight"), "q4_affine_g64");
  EXPECT_EQ(formats.at("model.layers.0.mlp.gate.weight"), "q8_affine_g64");
  EXPECT_EQ(formats.at("model.layers.0.mlp.switch_mlp.down_proj.weight"), "q4_affine_g64");
  EXPECT_EQ(formats.at("model.norm.weight"), "f32");
  EXPECT_EQ(formats.count("lm_head.weight"), 0U);
}

TEST(QuantizeWeights, PublishedModelsGetNf4AsInTransformers) {
  const auto formats = formats_of(kExperts, {.format = WeightFormat::codebook});
  EXPECT_EQ(formats.at("model.embed_tokens.weight"), "f16");
  EXPECT_EQ(formats.at("model.layers.0.mlp.gate.weight"), "f16");
  EXPECT_EQ(formats.at("model.layers.0.self_attn.q_proj.weight"), "nf4_g64");
  EXPECT_EQ(formats.at("model.layers.0.mlp.switch_mlp.up_proj.weight"), "nf4_g64");
  EXPECT_EQ(formats.count("lm_head.weight"), 0U);
}

}  // namespace
}  // namespace bitaxon
