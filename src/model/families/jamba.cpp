// The models Jamba. A few blocks are attention without positions, the others are selective scans.
// Every block has a SwiGLU or a mixture of experts. Source: Lieber et al. 2024, "Jamba", section 3.
#include "model/families/jamba.h"

#include <fmt/format.h>

#include <algorithm>

#include "bitaxon/error.h"
#include "model/families/block_names.h"
#include "model/families/config_reader.h"

namespace bitaxon {
namespace {

/// Layers at a distance of `period`, beginning at `offset`.
struct Periodic {
  std::int64_t period = 1;
  std::int64_t offset = 0;
  bool has(std::int64_t layer) const { return layer % period == offset; }
};

/// Describes a model of the family.
class JambaReader {
 public:
  JambaReader(const Json& json, std::string_view name, std::vector<std::string>& warnings)
      : config_(json, name), warnings_(warnings) {}

  ModelSpec read() {
    ModelSpec spec;
    spec.family = "jamba";
    refuse_other_activation(config_);
    spec.vocab_size = config_.integer({"vocab_size"}, 65536, 1, SizeLimit::kVocabulary);
    spec.d_model = spec.d_embedding = config_.size({"hidden_size"}, 4096);
    spec.max_seq_len =
        config_.integer({"max_position_embeddings"}, 262144, 1, SizeLimit::kPositions);
    spec.norm_eps = config_.positive({"rms_norm_eps"}, 1e-6);
    spec.has_final_norm = true;
    spec.quantizes_embedding = true;
    spec.has_tied_head = config_.boolean({"tie_word_embeddings"}, false);
    spec.ends = config_.ids({"eos_token_id"});
    n_layers_ = config_.integer({"num_hidden_layers"}, 32, 1, SizeLimit::kLayers);
    read_attention(spec.d_model);
    read_scan(spec);
    read_feed_forward();
    describe_blocks(spec);
    spec.names[{WeightId::embedding}] = {"model.embed_tokens.weight"};
    spec.names[{WeightId::final_norm}] = {"model.final_layernorm.weight"};
    spec.names[{WeightId::head}] = {"lm_head.weight"};
    spec.config = config_.known();
    return spec;
  }

 private:
  Periodic read_periodic(const char* period_key, const char* offset_key, Periodic otherwise) {
    Periodic layers;
    layers.period = config_.integer({period_key}, otherwise.period, 1, SizeLimit::kLayers);
    layers.offset = config_.integer({offset_key}, otherwise.offset, 0, SizeLimit::kLayers);
    if (layers.offset >= layers.period)
      config_.refuse({offset_key}, fmt::format("less than {} ({})", period_key, layers.period));
    return layers;
  }

  void read_attention(std::int64_t hidden_size) {
    attention_ = read_heads(config_, hidden_size, 8);
    if (config_.has({"sliding_window"}))
      warnings_.push_back(
          fmt::format("{}: sliding_window is ignored, because Jamba attends to all "
                      "earlier positions",
                      config_.name()));
    read_mixers();
  }

  /// Finds the layers with attention. A list of layers counts more than the period.
  void read_mixers() {
    constexpr ConfigReader::Names kList = {"layers_block_type"};
    const std::vector<std::string> list = config_.texts(kList);
    Periodic attends;
    if (list.empty()) attends = read_periodic("attn_layer_period", "attn_layer_offset", {8, 4});
    if (!list.empty() && std::ssize(list) != n_layers_)
      config_.refuse(kList, fmt::format("one entry for each of {} layers", n_layers_));
    for (std::int64_t i = 0; i < n_layers_; ++i) {
      if (list.empty()) {
        attends_.push_back(attends.has(i));
        continue;
      }
      const std::string& type = list[static_cast<std::size_t>(i)];
      if (type != "attention" && type != "mamba")
        config_.refuse_unsupported(kList, "\"attention\" or \"mamba\"");
      attends_.push_back(type == "attention");
    }
  }

  void read_scan(const ModelSpec& spec) {
    constexpr ConfigReader::Names kNorms = {"mamba_inner_layernorms"};
    if (!config_.boolean(kNorms, true)) config_.refuse_unsupported(kNorms, "true");
    const std::int64_t expand = config_.integer({"mamba_expand"}, 2, 1, 64);
    scan_.d_inner = expand * spec.d_model;
    scan_.d_state = config_.integer({"mamba_d_state"}, 16, 1, 4096);
    scan_.d_conv = config_.integer({"mamba_d_conv"}, 4, 1, 4096);
    scan_.dt_rank = read_rank(config_, {"mamba_dt_rank"}, spec.d_model);
    scan_.inner_norms = InnerNorms::with_weights;
    scan_.inner_norm_eps = spec.norm_eps;
    has_conv_bias_ = config_.boolean({"mamba_conv_bias"}, true);
    has_bias_ = config_.boolean({"mamba_proj_bias"}, false);
  }

  void read_feed_forward() {
    constexpr ConfigReader::Names kChosen = {"num_experts_per_tok"};
    dense_.d_hidden = experts_.d_hidden = config_.size({"intermediate_size"}, 14336);
    experts_.n_experts = config_.integer({"num_experts"}, 16, 1, SizeLimit::kExperts);
    experts_.top_k = config_.integer(kChosen, 2, 1, SizeLimit::kExperts);
    if (experts_.n_experts == 1) return;
    with_experts_ = read_periodic("expert_layer_period", "expert_layer_offset", {2, 1});
    if (experts_.top_k > experts_.n_experts)
      config_.refuse(kChosen, fmt::format("at most num_experts ({})", experts_.n_experts));
  }

  void describe_blocks(ModelSpec& spec) const {
    for (std::int64_t i = 0; i < n_layers_; ++i) {
      BlockNames names(spec, i, fmt::format("model.layers.{}.", i));
      names.add(WeightId::mixer_norm, {"input_layernorm.weight"});
      names.add(WeightId::feed_forward_norm, {"pre_ff_layernorm.weight"});
      BlockSpec block;
      if (attends_[static_cast<std::size_t>(i)]) {
        block.mixer = attention_;
        name_attention(names, "self_attn.");
      } else {
        block.mixer = scan_;
        name_mamba(names);
      }
      // The first uploads have "moe." instead of "feed_forward.", for single SwiGLUs too.
      if (experts_.n_experts > 1 && with_experts_.has(i)) {
        block.feed_forward = experts_;
        name_experts(names, "feed_forward.", "router", "moe.");
      } else {
        block.feed_forward = dense_;
        name_dense(names, "feed_forward.", "moe.experts.0.");
      }
      block.kind = kind_of(block);
      spec.blocks.push_back(std::move(block));
    }
  }

  void name_mamba(BlockNames& names) const {
    name_scan(names, "mamba.");
    names.add(WeightId::dt_norm, {"mamba.dt_layernorm.weight"});
    names.add(WeightId::b_norm, {"mamba.b_layernorm.weight"});
    names.add(WeightId::c_norm, {"mamba.c_layernorm.weight"});
    if (has_conv_bias_) names.add(WeightId::conv_bias, {"mamba.conv1d.bias"});
    if (!has_bias_) return;
    names.add(WeightId::scan_in_bias, {"mamba.in_proj.bias"});
    names.add(WeightId::scan_out_bias, {"mamba.out_proj.bias"});
  }

  ConfigReader config_;
  std::vector<std::string>& warnings_;
  AttentionSpec attention_;
  SelectiveScanSpec scan_;
  DenseSpec dense_;
  ExpertsSpec experts_;
  Periodic with_experts_;
  std::vector<bool> attends_;  ///< for each layer
  std::int64_t n_layers_ = 0;
  bool has_conv_bias_ = true;
  bool has_bias_ = false;  ///< of the projections in front of a scan and behind it
};

}  // namespace

ModelSpec describe_jamba(const Json& config, std::string_view name,
                         std::vector<std::string>& warnings) {
  return JambaReader(config, name, warnings).read();
}

}  // namespace bitaxon
