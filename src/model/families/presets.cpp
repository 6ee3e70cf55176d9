#include <fmt/format.h>
#include <fmt/ranges.h>

#include "bitaxon/error.h"
#include "bitaxon/model_spec.h"
#include "model/families/bit_axon.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

/// A model of another family, by the keys of its published config.json that give its shape.
struct Preset {
  std::string_view name;
  std::string_view config;
};

constexpr Preset kPresets[] = {
    {"qwen3-0.6b", R"({"model_type": "qwen3", "vocab_size": 151936, "hidden_size": 1024,
      "intermediate_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 16,
      "num_key_value_heads": 8, "head_dim": 128, "rope_theta": 1000000,
      "max_position_embeddings": 40960, "tie_word_embeddings": true})"},
    {"qwen3-4b", R"({"model_type": "qwen3", "vocab_size": 151936, "hidden_size": 2560,
      "intermediate_size": 9728, "num_hidden_layers": 36, "num_attention_heads": 32,
      "num_key_value_heads": 8, "head_dim": 128, "rope_theta": 1000000,
      "max_position_embeddings": 40960, "tie_word_embeddings": true})"},
    {"falcon-mamba-7b", R"({"model_type": "falcon_mamba", "vocab_size": 65024,
      "hidden_size": 4096, "intermediate_size": 8192, "num_hidden_layers": 64, "state_size": 16,
      "conv_kernel": 4, "time_step_rank": 256, "tie_word_embeddings": false})"},
    // intermediate_size and the layers with attention follow from the published sizes.
    {"jamba-3b", R"({"model_type": "jamba", "vocab_size": 65536, "hidden_size": 2560,
      "intermediate_size": 8192, "num_hidden_layers": 28, "num_attention_heads": 20,
      "num_key_value_heads": 1, "num_experts": 1, "num_experts_per_tok": 1,
      "attn_layer_period": 14, "attn_layer_offset": 7, "mamba_d_state": 16, "mamba_d_conv": 4,
      "mamba_expand": 2, "mamba_dt_rank": 160, "tie_word_embeddings": true})"},
};

}  // namespace

std::vector<std::string_view> preset_names() {
  std::vector<std::string_view> names = {"small", "medium", "default", "bit-axon"};
  for (const Preset& preset : kPresets) names.push_back(preset.name);
  return names;
}

ModelSpec preset_spec(std::string_view name) {
  if (name == "small") return BitAxonConfig::small().spec();
  if (name == "medium") return BitAxonConfig::medium().spec();
  if (name == "default" || name == "bit-axon") return BitAxonConfig().spec();
  for (const Preset& preset : kPresets) {
    std::vector<std::string> warnings;
    if (preset.name == name) return describe_model(preset.config, name, warnings);
  }
  throw Error(ErrorKind::invalid_argument,
              fmt::format("preset: expected one of {}, got \"{}\"", fmt::join(preset_names(), ", "),
                          printable(name, 60)));
}

}  // namespace bitaxon
