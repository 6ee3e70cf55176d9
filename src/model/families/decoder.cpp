// The decoders Qwen2, Qwen2.5, Qwen3 and Qwen3-MoE. Every block is attention followed by a SwiGLU or
// by a mixture of experts. Source: Qwen team 2025, "Qwen3 technical report", section 2.
#include "model/families/decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "bitaxon/error.h"
#include "model/families/block_names.h"
#include "model/families/config_reader.h"

namespace bitaxon {
namespace {

/// What differs between the members of the family. The numbers are the defaults of the original
/// configuration classes. Programs leave a key out when its value is the default.
struct Member {
  const char* name;
  std::int64_t hidden_size;
  std::int64_t intermediate_size;
  std::int64_t n_layers;
  std::int64_t n_kv_heads;
  std::optional<std::int64_t> head_dim;  ///< empty: hidden_size / heads
  bool has_query_key_norm;
  bool always_has_bias;  ///< of queries, keys and values; else attention_bias decides
  bool has_experts;
};
constexpr Member kQwen2 = {"qwen2", 4096, 22016, 32, 32, std::nullopt, false, true, false};
constexpr Member kQwen3 = {"qwen3", 4096, 22016, 32, 32, 128, true, false, false};
constexpr Member kQwen3Moe = {"qwen3_moe", 2048, 6144, 24, 4, std::nullopt, true, false, true};

/// Reads how positions are rotated. transformers 5 writes rope_parameters, which holds everything.
/// Older versions write rope_theta, and rope_scaling if positions are scaled.
class RotaryReader {
 public:
  RotaryReader(ConfigReader& config, std::int64_t head_dim, std::int64_t max_positions)
      : config_(config) {
    rotary_.n_dims = head_dim;
    rotary_.original_positions = max_positions;
  }

  RotarySpec read() {
    refuse_odd_heads();
    read_base(config_);
    auto block = config_.object({"rope_parameters", "rope_scaling"});
    refuse_partial(config_);
    if (!block) return rotary_;
    // Models with several kinds of attention have parameters for each kind.
    block->refuse_objects("the parameters of all layers");
    refuse_partial(*block);
    read_base(*block);
    constexpr ConfigReader::Names kType = {"rope_type", "type"};
    const std::string type = block->text(kType, "default");
    if (type == "default") return rotary_;
    if (type == "linear")
      rotary_.scaling = RotarySpec::Scaling::linear;
    else if (type == "yarn")
      rotary_.scaling = RotarySpec::Scaling::yarn;
    else
      block->refuse_unsupported(kType, "default, linear or yarn");
    if (!block->has({"factor"})) block->refuse({"factor"}, "a number > 0");
    rotary_.factor = block->positive({"factor"}, 1);
    if (type == "yarn") read_yarn(*block);
    return rotary_;
  }

 private:
  void refuse_odd_heads() const {
    if (rotary_.n_dims % 2 == 0) return;
    if (config_.has({"head_dim"})) config_.refuse({"head_dim"}, "an even number");
    config_.refuse(
        {"num_attention_heads"},
        fmt::format("heads with an even number of dimensions, which {} is not", rotary_.n_dims));
  }

  void read_base(ConfigReader& from) {
    constexpr ConfigReader::Names kBase = {"rope_theta"};
    rotary_.base = from.positive(kBase, rotary_.base);
    if (rotary_.base <= 1) from.refuse(kBase, "a number > 1");
  }

  static void refuse_partial(ConfigReader& from) {
    constexpr ConfigReader::Names kPart = {"partial_rotary_factor"};
    if (from.positive(kPart, 1) != 1)
      from.refuse_unsupported(kPart, "1, because whole heads are rotated");
  }

  void read_yarn(ConfigReader& block) {
    rotary_.original_positions = block.integer(
        {"original_max_position_embeddings"}, rotary_.original_positions, 1, SizeLimit::kPositions);
    rotary_.beta_fast = block.positive({"beta_fast"}, rotary_.beta_fast);
    rotary_.beta_slow = block.positive({"beta_slow"}, rotary_.beta_slow);
    rotary_.truncate = block.boolean({"truncate"}, true);
    rotary_.attention_factor = block.optional_positive({"attention_factor"});
    rotary_.mscale = block.optional_not_negative({"mscale"});
    rotary_.mscale_all_dim = block.optional_not_negative({"mscale_all_dim"});
  }

  ConfigReader& config_;
  RotarySpec rotary_;
};

/// The longest text, in tokens. YaRN makes it longer than what the model was trained for.
std::int64_t longest_text(const RotarySpec& rotary, std::int64_t max_positions) {
  if (rotary.scaling != RotarySpec::Scaling::yarn) return max_positions;
  const double longer = rotary.factor * static_cast<double>(rotary.original_positions);
  const auto limit = static_cast<double>(SizeLimit::kPositions);
  return std::max(max_positions, static_cast<std::int64_t>(std::min(longer, limit)));
}

/// Describes a model of the family.
class DecoderReader {
 public:
  DecoderReader(const Member& member, const Json& json, std::string_view name)
      : member_(member), config_(json, name) {}

  ModelSpec read() {
    ModelSpec spec;
    spec.family = member_.name;
    refuse_other_activation(config_);
    spec.vocab_size = config_.integer({"vocab_size"}, 151936, 1, SizeLimit::kVocabulary);
    spec.d_model = spec.d_embedding = config_.size({"hidden_size"}, member_.hidden_size);
    spec.norm_eps = config_.positive({"rms_norm_eps"}, 1e-6);
    spec.has_final_norm = true;
    spec.quantizes_embedding = true;
    spec.has_tied_head = config_.boolean({"tie_word_embeddings"}, false);
    spec.ends = config_.ids({"eos_token_id"});
    n_layers_ = config_.integer({"num_hidden_layers"}, member_.n_layers, 1, SizeLimit::kLayers);
    const std::int64_t max_positions =
        config_.integer({"max_position_embeddings"}, 32768, 1, SizeLimit::kPositions);
    attention_ = read_heads(config_, spec.d_model, member_.n_kv_heads, member_.head_dim);
    if (!member_.always_has_bias) has_bias_ = config_.boolean({"attention_bias"}, false);
    attention_.rotary = RotaryReader(config_, attention_.head_dim, max_positions).read();
    spec.max_seq_len = longest_text(*attention_.rotary, max_positions);
    read_windows();
    dense_.d_hidden = config_.size({"intermediate_size"}, member_.intermediate_size);
    if (member_.has_experts) read_experts();
    describe_blocks(spec);
    spec.names[{WeightId::embedding}] = {"model.embed_tokens.weight"};
    spec.names[{WeightId::final_norm}] = {"model.norm.weight"};
    spec.names[{WeightId::head}] = {"lm_head.weight"};
    spec.config = config_.known();
    return spec;
  }

 private:
  /// Finds the layers that attend to a window.
  void read_windows() {
    constexpr ConfigReader::Names kTypes = {"layer_types"};
    constexpr ConfigReader::Names kWindow = {"sliding_window"};
    const bool uses_windows = config_.boolean({"use_sliding_window"}, false);
    const std::vector<std::string> types =
        member_.has_experts ? std::vector<std::string>() : config_.texts(kTypes);
    is_windowed_.assign(static_cast<std::size_t>(n_layers_), false);
    if (!types.empty()) {
      if (std::ssize(types) != n_layers_)
        config_.refuse(kTypes, fmt::format("one entry for each of {} layers", n_layers_));
      for (std::size_t i = 0; i < types.size(); ++i) {
        is_windowed_[i] = types[i] == "sliding_attention";
        if (!is_windowed_[i] && types[i] != "full_attention")
          config_.refuse_unsupported(kTypes, "\"full_attention\" or \"sliding_attention\"");
      }
    } else if (uses_windows) {
      const std::int64_t first = member_.has_experts ? 0
                                                     : config_.integer({"max_window_layers"}, 28, 0,
                                                                       SizeLimit::kPositions);
      for (std::int64_t i = first; i < n_layers_; ++i)
        is_windowed_[static_cast<std::size_t>(i)] = true;
    }
    if (std::ranges::find(is_windowed_, true) == is_windowed_.end()) return;
    if (!uses_windows)
      config_.refuse_unsupported({"use_sliding_window"},
                                 "true, because layer_types names windowed layers");
    if (config_.is_null(kWindow.first))
      config_.refuse(kWindow, "a number of tokens, because use_sliding_window is true");
    window_ = config_.integer(kWindow, 4096, 1, SizeLimit::kPositions);
  }

  void read_experts() {
    constexpr ConfigReader::Names kChosen = {"num_experts_per_tok"};
    // transformers 5 writes num_local_experts.
    experts_.n_experts =
        config_.integer({"num_experts", "num_local_experts"}, 128, 0, SizeLimit::kExperts);
    experts_.top_k = config_.integer(kChosen, 8, 1, SizeLimit::kExperts);
    if (experts_.n_experts > 0 && experts_.top_k > experts_.n_experts)
      config_.refuse(kChosen,
                     fmt::format("at most the number of experts ({})", experts_.n_experts));
    experts_.d_hidden = config_.size({"moe_intermediate_size"}, 768);
    experts_.renormalizes = config_.boolean({"norm_topk_prob"}, false);
    experts_every_ = config_.integer({"decoder_sparse_step"}, 1, 1, SizeLimit::kLayers);
    for (const std::int64_t layer : config_.integers({"mlp_only_layers"}))
      dense_layers_.insert(layer);
  }

  bool has_experts(std::int64_t layer) const {
    return experts_.n_experts > 0 && !dense_layers_.contains(layer) &&
           (layer + 1) % experts_every_ == 0;
  }

  void describe_blocks(ModelSpec& spec) const {
    for (std::int64_t i = 0; i < n_layers_; ++i) {
      BlockNames names(spec, i, fmt::format("model.layers.{}.", i));
      BlockSpec block;
      AttentionSpec attention = attention_;
      if (is_windowed_[static_cast<std::size_t>(i)]) attention.window = window_;
      block.mixer = attention;
      name_mixer(names);
      names.add(WeightId::feed_forward_norm, {"post_attention_layernorm.weight"});
      if (has_experts(i)) {
        block.feed_forward = experts_;
        name_experts(names, "mlp.", "gate");
      } else {
        block.feed_forward = dense_;
        name_dense(names, "mlp.");
      }
      block.kind = kind_of(block);
      spec.blocks.push_back(std::move(block));
    }
  }

  void name_mixer(BlockNames& names) const {
    names.add(WeightId::mixer_norm, {"input_layernorm.weight"});
    name_attention(names, "self_attn.");
    if (member_.always_has_bias || has_bias_) {
      names.add(WeightId::query_bias, {"self_attn.q_proj.bias"});
      names.add(WeightId::key_bias, {"self_attn.k_proj.bias"});
      names.add(WeightId::value_bias, {"self_attn.v_proj.bias"});
    }
    if (has_bias_) names.add(WeightId::attention_out_bias, {"self_attn.o_proj.bias"});
    if (!member_.has_query_key_norm) return;
    names.add(WeightId::query_norm, {"self_attn.q_norm.weight"});
    names.add(WeightId::key_norm, {"self_attn.k_norm.weight"});
  }

  const Member& member_;
  ConfigReader config_;
  AttentionSpec attention_;
  DenseSpec dense_;
  ExpertsSpec experts_;
  bool has_bias_ = false;  ///< attention_bias: biases of all four projections
  std::int64_t n_layers_ = 0;
  std::int64_t window_ = 0;
  std::vector<bool> is_windowed_;  ///< for each layer
  std::int64_t experts_every_ = 1;
  std::set<std::int64_t> dense_layers_;
};

}  // namespace

ModelSpec describe_qwen2(const Json& config, std::string_view name, std::vector<std::string>&) {
  return DecoderReader(kQwen2, config, name).read();
}
ModelSpec describe_qwen3(const Json& config, std::string_view name, std::vector<std::string>&) {
  return DecoderReader(kQwen3, config, name).read();
}
ModelSpec describe_qwen3_moe(const Json& config, std::string_view name, std::vector<std::string>&) {
  return DecoderReader(kQwen3Moe, config, name).read();
}

}  // namespace bitaxon
