// The models Mamba and Falcon-Mamba. Every block is a selective scan. Falcon-Mamba normalizes the
// time step, B and C. Sources: Gu & Dao 2023, "Mamba"; Zuo et al. 2024, "Falcon Mamba", section 3.
#include "model/families/mamba.h"

#include <fmt/format.h>

#include <algorithm>

#include "bitaxon/error.h"
#include "model/families/block_names.h"
#include "model/families/config_reader.h"

namespace bitaxon {
namespace {

/// Describes a model of the family. Some keys have a second name, which mlx writes.
class MambaReader {
 public:
  MambaReader(bool is_falcon, const Json& json, std::string_view name,
              std::vector<std::string>& warnings)
      : is_falcon_(is_falcon), config_(json, name), warnings_(warnings) {}

  ModelSpec read() {
    ModelSpec spec;
    spec.family = is_falcon_ ? "falcon_mamba" : "mamba";
    refuse_other_activation(config_);
    spec.vocab_size = config_.integer({"vocab_size"}, 50280, 1, SizeLimit::kVocabulary);
    spec.d_model = spec.d_embedding = config_.size({"hidden_size", "d_model"}, 768);
    spec.max_seq_len = SizeLimit::kPositions;  // the state has the same size at every position
    spec.norm_eps = config_.positive({"layer_norm_epsilon"}, 1e-5);
    spec.has_final_norm = true;
    spec.quantizes_embedding = true;
    spec.has_tied_head = config_.boolean({"tie_word_embeddings"}, true);
    spec.ends = config_.ids({"eos_token_id"});
    read_scan(spec);
    describe_blocks(spec);
    spec.names[{WeightId::embedding}] = {"backbone.embeddings.weight", "backbone.embedding.weight"};
    spec.names[{WeightId::final_norm}] = {"backbone.norm_f.weight"};
    spec.names[{WeightId::head}] = {"lm_head.weight"};
    spec.config = config_.known();
    return spec;
  }

 private:
  void read_scan(const ModelSpec& spec) {
    // The stored size counts. Falcon-Mamba's file has another product of `expand`.
    constexpr ConfigReader::Names kSize = {"intermediate_size", "d_inner"};
    scan_.d_inner =
        config_.has(kSize)
            ? config_.size(kSize, 0)
            : std::min(config_.integer({"expand"}, 2, 1, 64) * spec.d_model, SizeLimit::kDim);
    scan_.d_state = config_.integer({"state_size", "d_state"}, 16, 1, 4096);
    scan_.d_conv = config_.integer({"conv_kernel", "d_conv"}, 4, 1, 4096);
    scan_.dt_rank = read_rank(config_, {"time_step_rank"}, spec.d_model);
    has_conv_bias_ = config_.boolean({"use_conv_bias", "conv_bias"}, true);
    constexpr ConfigReader::Names kBias = {"use_bias", "bias"};
    has_bias_ = config_.boolean(kBias, false);
    // The default of this key differs between versions of the program that writes it.
    may_have_bias_ = !is_falcon_ && !config_.has(kBias);
    if (!normalizes(spec)) return;
    scan_.inner_norms = InnerNorms::without_weights;
    scan_.inner_norm_eps = config_.positive({"mixer_rms_eps"}, 1e-6);
  }

  /// Whether the model normalizes the time step, B and C. The first uploads of Falcon-Mamba have the
  /// model_type of Mamba.
  bool normalizes(const ModelSpec& spec) {
    constexpr std::int64_t kFalconVocabulary = 65024;
    const std::vector<std::string> architectures = config_.texts({"architectures"});
    if (is_falcon_ || config_.boolean({"use_bcdt_rms"}, false) ||
        std::ranges::find(architectures, "FalconMambaForCausalLM") != architectures.end())
      return true;
    if (spec.vocab_size != kFalconVocabulary) return false;
    warnings_.push_back(
        fmt::format("{}: model_type is \"mamba\", but vocab_size is that of Falcon-Mamba; the "
                    "model is read as Falcon-Mamba",
                    config_.name()));
    return true;
  }

  void describe_blocks(ModelSpec& spec) {
    const std::int64_t n_layers =
        config_.integer({"num_hidden_layers", "n_layer", "n_layers"}, 32, 1, SizeLimit::kLayers);
    for (std::int64_t i = 0; i < n_layers; ++i) {
      BlockNames names(spec, i, fmt::format("backbone.layers.{}.", i));
      names.add(WeightId::mixer_norm, {"norm.weight"});
      name_scan(names, "mixer.");
      if (has_conv_bias_) names.add(WeightId::conv_bias, {"mixer.conv1d.bias"});
      if (has_bias_ || may_have_bias_) {
        names.add(WeightId::scan_in_bias, {"mixer.in_proj.bias"});
        names.add(WeightId::scan_out_bias, {"mixer.out_proj.bias"});
      }
      if (may_have_bias_) {
        names.make_optional(WeightId::scan_in_bias);
        names.make_optional(WeightId::scan_out_bias);
      }
      BlockSpec block;
      block.mixer = scan_;
      block.kind = kind_of(block);
      spec.blocks.push_back(std::move(block));
    }
  }

  bool is_falcon_;
  ConfigReader config_;
  std::vector<std::string>& warnings_;
  SelectiveScanSpec scan_;
  bool has_conv_bias_ = true;
  bool has_bias_ = false;       ///< of the projections in front of the scan and behind it
  bool may_have_bias_ = false;  ///< only the file of weights tells
};

}  // namespace

ModelSpec describe_mamba(const Json& config, std::string_view name,
                         std::vector<std::string>& warnings) {
  return MambaReader(false, config, name, warnings).read();
}
ModelSpec describe_falcon_mamba(const Json& config, std::string_view name,
                                std::vector<std::string>& warnings) {
  return MambaReader(true, config, name, warnings).read();
}

void refuse_first_mamba(const Json& config, std::string_view name) {
  const auto has = [&](const char* key) { return config.contains(key); };
  if (!config.is_object() || has("model_type") || has("hidden_size")) return;
  if (!has("d_model") || !(has("n_layer") || has("ssm_cfg"))) return;
  throw Error(ErrorKind::unsupported,
              fmt::format("{}: the first release of Mamba (d_model, ssm_cfg) is not read; use the "
                          "repository whose name ends in -hf",
                          name));
}

}  // namespace bitaxon
