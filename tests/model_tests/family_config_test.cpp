// Tests how config.json files of other programs are read.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "bitaxon/model_spec.h"
#include "model/weights.h"
#include "support/errors.h"

namespace bitaxon::test {
namespace {

ModelSpec describe(const std::string& json) {
  std::vector<std::string> warnings;
  ModelSpec spec = describe_model(json, "config.json", warnings);
  EXPECT_TRUE(warnings.empty()) << warnings[0];
  return spec;
}

ModelSpec describe_as(const std::string& type, const std::string& keys) {
  return describe(
      fmt::format(R"({{"model_type": "{}"{}{}}})", type, keys.empty() ? "" : ", ", keys));
}

const AttentionSpec& attention(const ModelSpec& spec, std::int64_t block = 0) {
  return std::get<AttentionSpec>(spec.block(block).mixer);
}
const SelectiveScanSpec& scan(const ModelSpec& spec, std::int64_t block = 0) {
  return std::get<SelectiveScanSpec>(spec.block(block).mixer);
}

TEST(FamilyConfig, AbsentKeysOfQwen3MeanTheDefaultsOfItsClass) {
  const ModelSpec spec = describe_as("qwen3", "");
  EXPECT_EQ(spec.vocab_size, 151936);
  EXPECT_EQ(spec.d_model, 4096);
  EXPECT_EQ(spec.n_blocks(), 32);
  EXPECT_EQ(spec.max_seq_len, 32768);
  EXPECT_EQ(spec.norm_eps, 1e-6);
  EXPECT_FALSE(spec.has_tied_head);
  EXPECT_EQ(attention(spec).n_heads, 32);
  EXPECT_EQ(attention(spec).n_kv_heads, 32);
  EXPECT_EQ(attention(spec).head_dim, 128);
  EXPECT_EQ(attention(spec).rotary->base, 1e4);
  EXPECT_EQ(std::get<DenseSpec>(spec.block(0).feed_forward).d_hidden, 22016);
}

TEST(FamilyConfig, AbsentKeysOfQwen2AndQwen3MoeMeanTheDefaultsOfTheirClasses) {
  const ModelSpec qwen2 = describe_as("qwen2", "");
  EXPECT_EQ(attention(qwen2).head_dim, 128);
  EXPECT_TRUE(qwen2.names.contains({WeightId::query_bias, 0}));
  EXPECT_FALSE(qwen2.names.contains({WeightId::query_norm, 0}));
  EXPECT_FALSE(qwen2.names.contains({WeightId::attention_out_bias, 0}));

  const ModelSpec moe = describe_as("qwen3_moe", "");
  EXPECT_EQ(moe.d_model, 2048);
  EXPECT_EQ(moe.n_blocks(), 24);
  EXPECT_EQ(attention(moe).n_kv_heads, 4);
  EXPECT_EQ(attention(moe).head_dim, 64);
  const auto& experts = std::get<ExpertsSpec>(moe.block(0).feed_forward);
  EXPECT_EQ(experts.n_experts, 128);
  EXPECT_EQ(experts.top_k, 8);
  EXPECT_EQ(experts.d_hidden, 768);
  EXPECT_FALSE(experts.renormalizes);
}

TEST(FamilyConfig, AbsentKeysOfMambaMeanTheDefaultsOfItsClass) {
  const ModelSpec spec = describe_as("mamba", "");
  EXPECT_EQ(spec.vocab_size, 50280);
  EXPECT_EQ(spec.d_model, 768);
  EXPECT_EQ(spec.n_blocks(), 32);
  EXPECT_EQ(spec.norm_eps, 1e-5);
  EXPECT_TRUE(spec.has_tied_head);
  EXPECT_EQ(scan(spec).d_inner, 1536);
  EXPECT_EQ(scan(spec).d_state, 16);
  EXPECT_EQ(scan(spec).d_conv, 4);
  EXPECT_EQ(scan(spec).dt_rank, 48);
  EXPECT_EQ(scan(spec).inner_norms, InnerNorms::none);
  EXPECT_FALSE(scan(spec).dt_clip);
  // Without use_bias, the biases exist if the file of weights has them.
  EXPECT_TRUE(spec.optional.contains({WeightId::scan_in_bias, 0}));

  const ModelSpec falcon = describe_as("falcon_mamba", "");
  EXPECT_EQ(scan(falcon).inner_norms, InnerNorms::without_weights);
  EXPECT_EQ(scan(falcon).inner_norm_eps, 1e-6);
  EXPECT_FALSE(falcon.names.contains({WeightId::scan_in_bias, 0}));
}

TEST(FamilyConfig, AbsentKeysOfJambaMeanTheDefaultsOfItsClass) {
  const ModelSpec spec = describe_as("jamba", "");
  EXPECT_EQ(spec.vocab_size, 65536);
  EXPECT_EQ(spec.n_blocks(), 32);
  EXPECT_EQ(spec.max_seq_len, 262144);
  EXPECT_FALSE(spec.has_tied_head);
  EXPECT_EQ(attention(spec, 4).n_kv_heads, 8);
  EXPECT_EQ(attention(spec, 12).head_dim, 128);
  EXPECT_FALSE(attention(spec, 4).rotary);
  EXPECT_EQ(scan(spec, 0).d_inner, 8192);
  EXPECT_EQ(scan(spec, 0).dt_rank, 256);
  EXPECT_EQ(scan(spec, 0).inner_norms, InnerNorms::with_weights);
  EXPECT_EQ(scan(spec, 0).inner_norm_eps, 1e-6);
  EXPECT_TRUE(std::holds_alternative<DenseSpec>(spec.block(0).feed_forward));
  const auto& experts = std::get<ExpertsSpec>(spec.block(1).feed_forward);
  EXPECT_EQ(experts.n_experts, 16);
  EXPECT_FALSE(experts.renormalizes);
}

TEST(FamilyConfig, NullMeansTheDefault) {
  const std::string nulls =
      R"("hidden_size": null, "rms_norm_eps": null, "tie_word_embeddings": null, "head_dim": null,
         "rope_scaling": null, "rope_theta": null, "hidden_act": null, "layer_types": null,
         "sliding_window": null, "max_window_layers": null, "eos_token_id": null)";
  const ModelSpec with_nulls = describe_as("qwen3", nulls), without = describe_as("qwen3", "");
  EXPECT_EQ(with_nulls.blocks, without.blocks);
  EXPECT_EQ(with_nulls.d_model, without.d_model);
  EXPECT_EQ(with_nulls.norm_eps, without.norm_eps);
}

TEST(FamilyConfig, NullHeadsOfKeysMeanOnePerHeadOfQueries) {
  const std::string keys = R"("num_attention_heads": 8, "num_key_value_heads": null)";
  for (const char* type : {"qwen2", "qwen3", "qwen3_moe"})
    EXPECT_EQ(attention(describe_as(type, keys)).n_kv_heads, 8) << type;
  EXPECT_EQ(attention(describe_as("jamba", keys), 4).n_kv_heads, 8);
}

TEST(FamilyConfig, UnknownKeysAreIgnoredWithoutAWarning) {
  const ModelSpec spec = describe_as(
      "qwen3",
      R"("auto_map": {"a": ["b"]}, "torch_dtype": "bfloat16", "pad_token_id": 3, "x": [1])");
  EXPECT_EQ(spec.blocks, describe_as("qwen3", "").blocks);
}

TEST(FamilyConfig, NumbersMayBeWrittenInSeveralWays) {
  for (const char* theta : {"1000000", "1000000.0", "1e6"}) {
    const ModelSpec spec = describe_as("qwen2", fmt::format("\"rope_theta\": {}", theta));
    EXPECT_EQ(attention(spec).rotary->base, 1e6);
  }
  EXPECT_EQ(describe_as("qwen2", R"("num_hidden_layers": 3.0)").n_blocks(), 3);
}

TEST(FamilyConfig, RotaryParametersAreReadFromBothForms) {
  const ModelSpec newer = describe_as(
      "qwen3", R"("rope_parameters": {"rope_type": "yarn", "rope_theta": 5e5, "factor": 4.0,
                                      "original_max_position_embeddings": 16384})");
  EXPECT_EQ(attention(newer).rotary->base, 5e5);
  EXPECT_EQ(attention(newer).rotary->scaling, RotarySpec::Scaling::yarn);
  EXPECT_EQ(attention(newer).rotary->original_positions, 16384);
  EXPECT_EQ(newer.max_seq_len, 65536);

  const ModelSpec older = describe_as(
      "qwen3", R"("rope_theta": 1e6, "max_position_embeddings": 64, "rope_scaling": {"type": "yarn",
                  "factor": 2.0, "beta_fast": 16, "truncate": false, "attention_factor": 1.5})");
  EXPECT_EQ(attention(older).rotary->base, 1e6);
  EXPECT_EQ(attention(older).rotary->factor, 2);
  EXPECT_EQ(attention(older).rotary->original_positions, 64);
  EXPECT_EQ(attention(older).rotary->beta_fast, 16);
  EXPECT_FALSE(attention(older).rotary->truncate);
  EXPECT_EQ(attention(older).rotary->attention_factor, 1.5);
  EXPECT_EQ(older.max_seq_len, 128);

  // A value of 0 counts as none.
  const ModelSpec zero = describe_as(
      "qwen3",
      R"("rope_scaling": {"type": "yarn", "factor": 2, "mscale": 0, "mscale_all_dim": 0})");
  EXPECT_EQ(attention(zero).rotary->mscale, 0);

  const ModelSpec linear =
      describe_as("qwen2", R"("rope_scaling": {"rope_type": "linear", "factor": 3})");
  EXPECT_EQ(attention(linear).rotary->scaling, RotarySpec::Scaling::linear);
}

TEST(FamilyConfig, WindowsBeginAtALayerOrAreListed) {
  const std::string on =
      R"("num_hidden_layers": 3, "use_sliding_window": true, "sliding_window": 9)";
  const ModelSpec from = describe_as("qwen3", on + R"(, "max_window_layers": 1)");
  EXPECT_FALSE(attention(from, 0).window);
  EXPECT_EQ(attention(from, 1).window, 9);
  EXPECT_EQ(from.block(1).kind, "swa_mlp");
  const ModelSpec listed = describe_as(
      "qwen2",
      on + R"(, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"])");
  EXPECT_EQ(attention(listed, 0).window, 9);
  EXPECT_FALSE(attention(listed, 1).window);
  // In Qwen3-MoE, every layer has the window.
  const ModelSpec moe = describe_as("qwen3_moe", on + R"(, "max_window_layers": 2)");
  for (std::int64_t i = 0; i < 3; ++i) EXPECT_EQ(attention(moe, i).window, 9);
  const ModelSpec off = describe_as("qwen3", R"("num_hidden_layers": 30, "sliding_window": 9)");
  EXPECT_FALSE(attention(off, 29).window);
}

TEST(FamilyConfig, LayersOfQwen3MoeHaveExpertsOrASwiglu) {
  const ModelSpec spec = describe_as(
      "qwen3_moe", R"("num_hidden_layers": 6, "decoder_sparse_step": 2, "mlp_only_layers": [3],
                      "num_local_experts": 6, "num_experts_per_tok": 2, "norm_topk_prob": true)");
  for (const std::int64_t layer : {0, 2, 3, 4})
    EXPECT_TRUE(std::holds_alternative<DenseSpec>(spec.block(layer).feed_forward)) << layer;
  for (const std::int64_t layer : {1, 5}) {
    const auto& experts = std::get<ExpertsSpec>(spec.block(layer).feed_forward);
    EXPECT_EQ(experts.n_experts, 6);
    EXPECT_TRUE(experts.renormalizes);
  }
  const ModelSpec dense = describe_as("qwen3_moe", R"("num_experts": 0)");
  EXPECT_TRUE(std::holds_alternative<DenseSpec>(dense.block(0).feed_forward));
}

TEST(FamilyConfig, TheStoredWidthOfMambaCountsMoreThanItsFactor) {
  const ModelSpec falcon = describe_as(
      "falcon_mamba", R"("hidden_size": 4096, "expand": 16, "intermediate_size": 8192)");
  EXPECT_EQ(scan(falcon).d_inner, 8192);
  EXPECT_EQ(scan(falcon).dt_rank, 256);
  for (const char* expand : {"0.5", "1.5", "null"})
    EXPECT_EQ(
        scan(describe_as("mamba", fmt::format("\"intermediate_size\": 48, \"expand\": {}", expand)))
            .d_inner,
        48);
  const ModelSpec aliases = describe_as(
      "mamba", R"("d_model": 32, "d_inner": 48, "d_state": 8, "n_layers": 2, "d_conv": 3,
                  "bias": true, "conv_bias": false, "time_step_rank": 5)");
  EXPECT_EQ(aliases.d_model, 32);
  EXPECT_EQ(aliases.n_blocks(), 2);
  EXPECT_EQ(scan(aliases).d_inner, 48);
  EXPECT_EQ(scan(aliases).d_state, 8);
  EXPECT_EQ(scan(aliases).d_conv, 3);
  EXPECT_EQ(scan(aliases).dt_rank, 5);
  EXPECT_TRUE(aliases.names.contains({WeightId::scan_in_bias, 0}));
  EXPECT_TRUE(aliases.optional.empty());
  EXPECT_FALSE(aliases.names.contains({WeightId::conv_bias, 0}));
}

TEST(FamilyConfig, FalconMambaIsRecognizedUnderTheTypeOfMamba) {
  for (const char* keys :
       {R"("architectures": ["FalconMambaForCausalLM"])", R"("use_bcdt_rms": true)"})
    EXPECT_EQ(scan(describe_as("mamba", keys)).inner_norms, InnerNorms::without_weights) << keys;
  std::vector<std::string> warnings;
  const ModelSpec spec =
      describe_model(R"({"model_type": "mamba", "vocab_size": 65024})", "config.json", warnings);
  EXPECT_EQ(scan(spec).inner_norms, InnerNorms::without_weights);
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_NE(warnings[0].find("Falcon-Mamba"), std::string::npos);
}

TEST(FamilyConfig, LayersOfJambaFollowPeriodsOrAList) {
  const ModelSpec periodic = describe_as(
      "jamba", R"("num_hidden_layers": 5, "attn_layer_period": 3, "attn_layer_offset": 1,
                  "expert_layer_period": 2, "expert_layer_offset": 0, "num_experts": 4)");
  const std::vector<std::string> kinds = {"ssm_moe", "attention_mlp", "ssm_moe", "ssm_mlp",
                                          "attention_moe"};
  for (std::size_t i = 0; i < kinds.size(); ++i) EXPECT_EQ(periodic.blocks[i].kind, kinds[i]) << i;
  const ModelSpec listed =
      describe_as("jamba", R"("num_hidden_layers": 2, "layers_block_type": ["attention", "mamba"],
                  "num_experts": 1)");
  EXPECT_EQ(listed.block(0).kind, "attention_mlp");
  EXPECT_EQ(listed.block(1).kind, "ssm_mlp");
  // Periods that nothing uses are not checked.
  const ModelSpec unused =
      describe_as("jamba", R"("num_hidden_layers": 1, "layers_block_type": ["mamba"],
                  "attn_layer_period": 2, "attn_layer_offset": 4, "num_experts": 1,
                  "expert_layer_period": 1, "expert_layer_offset": 1)");
  EXPECT_EQ(unused.block(0).kind, "ssm_mlp");
}

TEST(FamilyConfig, TheConfigurationKeepsTheKeysThatAreRead) {
  const ModelSpec spec =
      describe_as("qwen2", R"("hidden_size": 64, "vocab_size": null, "torch_dtype": "float16")");
  EXPECT_NE(spec.config.find("hidden_size"), std::string::npos);
  EXPECT_EQ(spec.config.find("torch_dtype"), std::string::npos);
  EXPECT_EQ(spec.config.find("vocab_size"), std::string::npos);
}

TEST(FamilyConfig, PresetsHaveTheShapesOfPublishedModels) {
  const auto n_parameters = [](std::string_view name) {
    const ModelSpec spec = preset_spec(name);
    std::int64_t n = 0;
    for (const WeightSlot& slot : weight_slots(spec))
      if (!is_tied_head(spec, slot)) n += slot.shape.elements();
    return static_cast<double>(n);
  };
  EXPECT_NEAR(n_parameters("qwen3-0.6b"), 0.596e9, 1e6);
  EXPECT_NEAR(n_parameters("qwen3-4b"), 4.022e9, 1e6);
  EXPECT_NEAR(n_parameters("falcon-mamba-7b"), 7.27e9, 1e7);
  EXPECT_NEAR(n_parameters("jamba-3b"), 3.03e9, 5e7);
  EXPECT_EQ(preset_spec("bit-axon"), preset_spec("default"));
  EXPECT_EQ(preset_names().size(), 8U);
  expect_error([] { preset_spec("qwen"); }, ErrorKind::invalid_argument,
               {"qwen3-0.6b", "\"qwen\""});
}

struct Broken {
  const char* type;
  const char* keys;
  std::vector<std::string> expected;  ///< parts of the message
};

class BrokenFamilyConfig : public testing::TestWithParam<Broken> {};

TEST_P(BrokenFamilyConfig, IsRefusedByTheNameOfTheKey) {
  std::vector<std::string> parts = {"config.json: "};
  parts.insert(parts.end(), GetParam().expected.begin(), GetParam().expected.end());
  try {
    describe_as(GetParam().type, GetParam().keys);
    FAIL() << "expected an error";
  } catch (const Error& error) {
    for (const std::string& part : parts)
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos)
          << error.what() << " lacks " << part;
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
  }
}

const Broken kBroken[] = {
    {"qwen3", R"("hidden_size": 0)", {"hidden_size: expected a whole number from 1", "got 0"}},
    {"qwen3", R"("hidden_size": -4)", {"hidden_size", "got -4"}},
    {"qwen3", R"("hidden_size": 12.5)", {"hidden_size", "got 12.5"}},
    {"qwen3", R"("hidden_size": "4096")", {"hidden_size", "got \"4096\""}},
    {"qwen3", R"("hidden_size": 18446744073709551615)", {"hidden_size", "18446744073709551615"}},
    {"qwen3", R"("hidden_size": 1e300)", {"hidden_size"}},
    {"qwen3", R"("vocab_size": [1])", {"vocab_size", "got [1]"}},
    {"qwen3", R"("num_hidden_layers": 1000000)", {"num_hidden_layers", "4096"}},
    {"qwen3", R"("hidden_act": "gelu")", {"hidden_act: expected \"silu\", got \"gelu\""}},
    {"qwen2", R"("hidden_act": "relu")", {"hidden_act", "relu"}},
    {"mamba", R"("hidden_act": "gelu")", {"hidden_act", "gelu"}},
    {"jamba", R"("hidden_act": "gelu_new")", {"hidden_act", "gelu_new"}},
    {"qwen3", R"("hidden_act": 3)", {"hidden_act: expected a string, got 3"}},
    {"qwen3", R"("rms_norm_eps": 0)", {"rms_norm_eps: expected a number > 0, got 0"}},
    {"qwen3", R"("rms_norm_eps": -1e-6)", {"rms_norm_eps"}},
    {"qwen3", R"("rms_norm_eps": "1e-6")", {"rms_norm_eps"}},
    {"qwen3", R"("rope_theta": 0)", {"rope_theta"}},
    {"qwen3", R"("rope_theta": 0.5)", {"json: rope_theta: expected a number > 1, got 0.5"}},
    {"qwen3",
     R"("rope_parameters": {"rope_theta": 1})",
     {"rope_parameters.rope_theta: expected a number > 1, got 1"}},
    {"qwen3",
     R"("rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 5e5}})",
     {"rope_parameters.full_attention: expected the parameters of all layers, got {"}},
    {"qwen3",
     R"("rope_scaling": {"type": "yarn", "factor": 2, "mscale": -1})",
     {"rope_scaling.mscale: expected a number >= 0, got -1"}},
    {"qwen3",
     R"("rope_scaling": {"type": "yarn", "factor": 2, "mscale_all_dim": "1"})",
     {"rope_scaling.mscale_all_dim", "got \"1\""}},
    {"qwen3",
     R"("rope_scaling": {"type": "dynamic", "factor": 2})",
     {"rope_scaling.type: expected default, linear or yarn, got \"dynamic\""}},
    {"qwen3",
     R"("rope_parameters": {"rope_type": "llama3", "factor": 8})",
     {"rope_parameters.rope_type", "llama3"}},
    {"qwen3", R"("rope_parameters": {"rope_type": "longrope"})", {"rope_type", "longrope"}},
    {"qwen3", R"("rope_scaling": {"rope_type": "yarn"})", {"rope_scaling.factor", "no such key"}},
    {"qwen3",
     R"("rope_scaling": {"rope_type": "yarn", "factor": -1})",
     {"rope_scaling.factor", "got -1"}},
    {"qwen3", R"("rope_scaling": [2])", {"rope_scaling: expected an object"}},
    {"qwen3", R"("partial_rotary_factor": 0.5)", {"partial_rotary_factor", "0.5"}},
    {"qwen3", R"("head_dim": 33)", {"head_dim: expected an even number, got 33"}},
    {"qwen2",
     R"("hidden_size": 40, "num_attention_heads": 8, "num_key_value_heads": 8)",
     {"num_attention_heads: expected heads with an even number of dimensions", "got 8"}},
    {"qwen3",
     R"("num_key_value_heads": 5)",
     {"num_key_value_heads: expected a divisor of num_attention_heads (32), got 5"}},
    {"qwen2",
     R"("num_attention_heads": 3, "num_key_value_heads": 1)",
     {"num_attention_heads: expected a divisor of hidden_size (4096), got 3"}},
    {"qwen3", R"("tie_word_embeddings": 1)", {"tie_word_embeddings: expected true or false"}},
    {"qwen3", R"("attention_bias": "no")", {"attention_bias"}},
    {"qwen3", R"("layer_types": ["full_attention"])", {"layer_types: expected one entry for each"}},
    {"qwen3",
     R"("num_hidden_layers": 1, "layer_types": ["chunked_attention"])",
     {"layer_types", "chunked_attention"}},
    {"qwen3",
     R"("num_hidden_layers": 1, "layer_types": ["sliding_attention"])",
     {"use_sliding_window: expected true"}},
    {"qwen3", R"("num_hidden_layers": 1, "layer_types": [1])", {"layer_types"}},
    {"qwen3",
     R"("use_sliding_window": true, "sliding_window": null, "max_window_layers": 0)",
     {"sliding_window: expected a number of tokens", "got null"}},
    {"qwen3", R"("eos_token_id": "x")", {"eos_token_id: expected an id or a list of ids"}},
    {"qwen3", R"("eos_token_id": [1, 2.5])", {"eos_token_id", "got [1,2.5]"}},
    {"qwen3",
     R"("use_sliding_window": true, "sliding_window": 0, "max_window_layers": 0)",
     {"sliding_window", "got 0"}},
    {"qwen3_moe",
     R"("num_experts": 4, "num_experts_per_tok": 5)",
     {"num_experts_per_tok: expected at most the number of experts (4), got 5"}},
    {"qwen3_moe", R"("decoder_sparse_step": 0)", {"decoder_sparse_step"}},
    {"qwen3_moe", R"("mlp_only_layers": ["1"])", {"mlp_only_layers"}},
    {"mamba", R"("time_step_rank": "half")", {"time_step_rank", "half"}},
    {"mamba", R"("time_step_rank": 0)", {"time_step_rank"}},
    {"mamba", R"("conv_kernel": 0)", {"conv_kernel"}},
    {"falcon_mamba", R"("mixer_rms_eps": 0)", {"mixer_rms_eps"}},
    {"mamba", R"("architectures": "MambaForCausalLM")", {"architectures: expected a list"}},
    {"jamba",
     R"("attn_layer_offset": 8)",
     {"attn_layer_offset: expected less than attn_layer_period (8), got 8"}},
    {"jamba", R"("expert_layer_period": 0)", {"expert_layer_period"}},
    {"jamba", R"("mamba_inner_layernorms": false)", {"mamba_inner_layernorms: expected true"}},
    {"jamba", R"("num_experts": 2, "num_experts_per_tok": 3)", {"num_experts_per_tok"}},
    {"jamba",
     R"("num_hidden_layers": 1, "layers_block_type": ["mamba2"])",
     {"layers_block_type", "mamba2"}},
    {"mamba2", "", {"model_type: expected one of", "falcon_mamba", "jamba", "qwen3_moe", "mamba2"}},
    {"llama", "", {"model_type", "llama"}},
    {"", "", {"model_type: expected one of bit_axon, qwen2, ", "got \"\""}},
    {"mamba", R"("expand": 1.5)", {"expand", "got 1.5"}},
};

INSTANTIATE_TEST_SUITE_P(FamilyConfig, BrokenFamilyConfig, testing::ValuesIn(kBroken));

TEST(FamilyConfig, AMissingTypeIsRefusedWithAListOfTypes) {
  std::vector<std::string> warnings;
  const std::pair<const char*, std::string_view> broken[] = {
      {R"({"model_type": null, "hidden_size": 64})", "got null"},
      {R"({"hidden_size": 64, "architectures": ["Qwen3ForCausalLM"]})", "got no such key"},
      {R"({"architectures": ["JambaForCausalLM"]})", "got no such key"}};
  for (const auto& [json, got] : broken)
    expect_error([&, json = json] { describe_model(json, "config.json", warnings); },
                 ErrorKind::format,
                 {"config.json: model_type: expected one of bit_axon, qwen2", "jamba", got});
  // Bit-Axon's own files have no model_type.
  EXPECT_EQ(describe(R"({"hidden_dim": 64, "num_heads": 4})").family, "bit_axon");
}

TEST(FamilyConfig, TheFirstReleaseOfMambaIsRefused) {
  std::vector<std::string> warnings;
  expect_error(
      [&] {
        describe_model(R"({"d_model": 768, "n_layer": 24, "ssm_cfg": {}})", "config.json",
                       warnings);
      },
      ErrorKind::unsupported, {"config.json", "-hf"});
}

}  // namespace
}  // namespace bitaxon::test
