#include "model/families/bit_axon.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "bitaxon/error.h"
#include "formats/json.h"
#include "formats/quantization_config.h"
#include "model/families/block_names.h"
#include "model/families/config_reader.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

/// A key of config.json with an integer value, and the largest accepted value. The limits are far
/// above the values of any model, and low enough that the products in validate() fit 64 bits.
struct IntegerKey {
  const char* name;
  std::int64_t BitAxonConfig::*member;
  std::int64_t max;
};
constexpr std::int64_t kMaxDim = std::int64_t{1} << 20;
constexpr std::array kIntegerKeys = {
    IntegerKey{"vocab_size", &BitAxonConfig::vocab_size, std::int64_t{1} << 24},
    IntegerKey{"hidden_dim", &BitAxonConfig::hidden_dim, kMaxDim},
    IntegerKey{"num_layers", &BitAxonConfig::num_layers, 4096},
    IntegerKey{"num_heads", &BitAxonConfig::num_heads, kMaxDim},
    IntegerKey{"d_source_model", &BitAxonConfig::d_source_model, kMaxDim},
    IntegerKey{"ssm_d_state", &BitAxonConfig::ssm_d_state, 4096},
    IntegerKey{"ssm_d_conv", &BitAxonConfig::ssm_d_conv, 4096},
    IntegerKey{"ssm_expand", &BitAxonConfig::ssm_expand, 64},
    IntegerKey{"ssm_scan_step", &BitAxonConfig::ssm_scan_step, std::int64_t{1} << 31},
    IntegerKey{"swa_window_size", &BitAxonConfig::swa_window_size, std::int64_t{1} << 31},
    IntegerKey{"moe_num_experts", &BitAxonConfig::moe_num_experts, 65536},
    IntegerKey{"moe_top_k", &BitAxonConfig::moe_top_k, 65536},
    IntegerKey{"moe_intermediate_dim", &BitAxonConfig::moe_intermediate_dim, kMaxDim},
    IntegerKey{"max_seq_len", &BitAxonConfig::max_seq_len, (std::int64_t{1} << 31) - 1},
};

struct BooleanKey {
  const char* name;
  bool BitAxonConfig::*member;
};
constexpr std::array kBooleanKeys = {
    BooleanKey{"moe_shared_expert", &BitAxonConfig::moe_shared_expert},
    BooleanKey{"weight_tying", &BitAxonConfig::weight_tying},
};

constexpr const char* kEpsKey = "rms_norm_eps";

constexpr const char* kEndKey = "eos_token_id";

/// Keys that other code reads: the registry of families, and the search for end-of-sequence tokens
/// (end_of_sequence.h).
constexpr std::array kOtherKeys = {"model_type", "eos_token"};

[[noreturn]] void fail_key(std::string_view name, std::string_view key, const std::string& expected,
                           const std::string& got) {
  throw Error(ErrorKind::format,
              fmt::format("{}: {}: expected {}, got {}", name, key, expected, got));
}

bool read_key(BitAxonConfig& config, const std::string& key, const Json& value,
              std::string_view name) {
  for (const IntegerKey& known : kIntegerKeys) {
    if (key != known.name) continue;
    // The comparison is unsigned, because a number beyond int64 would become negative.
    if (!value.is_number_integer() ||
        (value.is_number_unsigned() &&
         value.get<std::uint64_t>() > static_cast<std::uint64_t>(known.max)))
      fail_key(name, key, fmt::format("a whole number from 1 to {}", known.max),
               printable_json(value));
    config.*known.member = value.get<std::int64_t>();
    return true;
  }
  for (const BooleanKey& known : kBooleanKeys) {
    if (key != known.name) continue;
    if (!value.is_boolean()) fail_key(name, key, "true or false", printable_json(value));
    config.*known.member = value.get<bool>();
    return true;
  }
  if (key != kEpsKey) return false;
  if (!value.is_number()) fail_key(name, key, "a number > 0", printable_json(value));
  config.rms_norm_eps = value.get<double>();
  return true;
}

template <class Keys>
bool is_one_of(const Keys& keys, const std::string& key) {
  return std::ranges::find(keys, key) != keys.end();
}

}  // namespace

BitAxonConfig BitAxonConfig::small() {
  BitAxonConfig config;
  config.vocab_size = 1024;
  config.hidden_dim = 256;
  config.num_layers = 4;
  config.num_heads = 4;
  config.d_source_model = 128;
  config.ssm_d_state = 4;
  config.ssm_d_conv = 2;
  config.ssm_expand = 2;
  config.swa_window_size = 64;
  config.moe_num_experts = 4;
  config.moe_intermediate_dim = 512;
  return config;
}

BitAxonConfig BitAxonConfig::medium() {
  BitAxonConfig config;
  config.hidden_dim = 2048;
  config.num_layers = 12;
  config.num_heads = 16;
  config.d_source_model = 1536;
  config.ssm_d_state = 12;
  config.moe_num_experts = 6;
  config.moe_intermediate_dim = 3072;
  return config;
}

BitAxonConfig BitAxonConfig::parse(std::string_view text, std::string_view name,
                                   std::vector<std::string>& warnings) {
  return read(parse_json(text, name, kConfigLimits), name, warnings);
}

BitAxonConfig BitAxonConfig::read(const Json& json, std::string_view name,
                                  std::vector<std::string>& warnings) {
  if (!json.is_object())
    throw Error(ErrorKind::format,
                fmt::format("{}: expected a JSON object, got {}", name, printable_json(json)));
  BitAxonConfig config;
  for (const auto& [key, value] : json.items()) {
    if (is_one_of(kQuantizationKeys, key)) {
      if (config.quantization.empty()) config.quantization = quantization_method(value);
    } else if (key == kEndKey) {
      config.eos_token_ids = ids_of(value).value_or(std::vector<std::int32_t>());
    } else if (!read_key(config, key, value, name) && !is_one_of(kOtherKeys, key)) {
      warnings.push_back(fmt::format("{}: unknown key \"{}\" is ignored", name, printable(key)));
    }
  }
  config.validate(name);
  return config;
}

void BitAxonConfig::validate(std::string_view name) const {
  for (const IntegerKey& key : kIntegerKeys)
    if (this->*key.member < 1 || this->*key.member > key.max)
      fail_key(name, key.name, fmt::format("a whole number from 1 to {}", key.max),
               std::to_string(this->*key.member));
  if (!(rms_norm_eps > 0) || !std::isfinite(static_cast<float>(rms_norm_eps)) ||
      static_cast<float>(rms_norm_eps) == 0.0F)
    fail_key(name, kEpsKey, "a number > 0", fmt::format("{}", rms_norm_eps));
  if (hidden_dim % num_heads != 0)
    fail_key(name, "num_heads", fmt::format("a divisor of hidden_dim ({})", hidden_dim),
             std::to_string(num_heads));
  if (moe_top_k > moe_num_experts)
    fail_key(name, "moe_top_k", fmt::format("at most moe_num_experts ({})", moe_num_experts),
             std::to_string(moe_top_k));
  // The limits of the keys keep these products within 64 bits.
  constexpr std::int64_t kMaxElements = std::int64_t{1} << 40;
  const auto check = [&](const char* what, std::int64_t elements) {
    if (elements > kMaxElements)
      fail_key(name, what, fmt::format("at most {} elements in one tensor", kMaxElements),
               std::to_string(elements));
  };
  check("vocab_size * d_source_model", vocab_size * d_source_model);
  check("2 * ssm_expand * hidden_dim * hidden_dim", 2 * d_inner() * hidden_dim);
  check("moe_intermediate_dim * hidden_dim", moe_intermediate_dim * hidden_dim);
  check("moe_num_experts * moe_intermediate_dim * hidden_dim",
        moe_num_experts * std::min(moe_intermediate_dim * hidden_dim, kMaxElements));
}

std::string BitAxonConfig::to_json() const {
  Json object = Json::object();
  for (const IntegerKey& key : kIntegerKeys) object[key.name] = this->*key.member;
  for (const BooleanKey& key : kBooleanKeys) object[key.name] = this->*key.member;
  object[kEpsKey] = rms_norm_eps;
  return object.dump(2) + "\n";
}

namespace {

/// Fills in the blocks and the tensor names of a ModelSpec.
class Describer {
 public:
  Describer(const BitAxonConfig& config, ModelSpec& spec) : config_(config), spec_(spec) {}

  void describe() {
    name(WeightId::embedding, "embed_tokens.weight");
    name(WeightId::input_bridge, "input_proj.weight");
    const std::int64_t third = config_.num_layers / 3;
    for (std::int64_t i = 0; i < config_.num_layers; ++i)
      add_block(i, i >= third && i < 2 * third, i >= third);
    name(WeightId::output_bridge, "output_proj.weight");
    name(WeightId::head, "lm_head.weight");
  }

 private:
  void name(WeightId id, std::string tensor) { spec_.names[{id, block_}] = {std::move(tensor)}; }

  void add_block(std::int64_t index, bool attends, bool has_experts) {
    block_ = index;
    prefix_ = fmt::format("layer_{}.", index);
    name(WeightId::mixer_norm, prefix_ + "input_norm.weight");
    BlockSpec block;
    if (attends)
      block.mixer = attention();
    else
      block.mixer = selective_scan();
    block.kind = attends ? "swa" : "ssm";
    if (has_experts) {
      block.kind += "_moe";
      block.feed_forward = experts();
      name(WeightId::feed_forward_norm,
           prefix_ + (attends ? "post_attention_norm.weight" : "post_ssm_norm.weight"));
    }
    spec_.blocks.push_back(std::move(block));
    block_ = -1;
  }

  SelectiveScanSpec selective_scan() {
    BlockNames names(spec_, block_, prefix_);
    name_scan(names, "ssm.");
    names.add(WeightId::conv_bias, {"ssm.conv1d.bias"});
    return {.d_inner = config_.d_inner(),
            .d_state = config_.ssm_d_state,
            .d_conv = config_.ssm_d_conv,
            .dt_clip = ClipRange{1e-4, 100}};
  }

  AttentionSpec attention() {
    BlockNames names(spec_, block_, prefix_);
    name_attention(names, "attention.");
    return {.n_heads = config_.num_heads,
            .n_kv_heads = config_.num_heads,
            .head_dim = config_.head_dim(),
            .window = config_.window()};
  }

  ExpertsSpec experts() {
    const std::string moe = prefix_ + "moe.";
    name(WeightId::router, moe + "gate.weight");
    name(WeightId::experts_gate, moe + "switch_mlp.gate_proj.weight");
    name(WeightId::experts_up, moe + "switch_mlp.up_proj.weight");
    name(WeightId::experts_down, moe + "switch_mlp.down_proj.weight");
    if (config_.moe_shared_expert) {
      name(WeightId::shared_router, moe + "shared_expert_gate.weight");
      name(WeightId::shared_gate, moe + "shared_expert.gate_proj.weight");
      name(WeightId::shared_up, moe + "shared_expert.up_proj.weight");
      name(WeightId::shared_down, moe + "shared_expert.down_proj.weight");
    }
    return {.n_experts = config_.moe_num_experts,
            .top_k = config_.moe_top_k,
            .d_hidden = config_.moe_intermediate_dim,
            .has_shared = config_.moe_shared_expert};
  }

  const BitAxonConfig& config_;
  ModelSpec& spec_;
  std::int64_t block_ = -1;
  std::string prefix_;
};

}  // namespace

ModelSpec BitAxonConfig::spec() const {
  validate("config");
  ModelSpec spec;
  spec.family = "bit_axon";
  spec.vocab_size = vocab_size;
  spec.d_embedding = d_source_model;
  spec.d_model = hidden_dim;
  spec.max_seq_len = max_seq_len;
  spec.norm_eps = rms_norm_eps;
  spec.has_bridges = true;
  spec.has_tied_head = weight_tying;
  spec.ends = eos_token_ids;
  spec.config = to_json();
  spec.quantization = quantization;
  Describer(*this, spec).describe();
  return spec;
}

ModelSpec describe_bit_axon(const Json& config, std::string_view name,
                            std::vector<std::string>& warnings) {
  return BitAxonConfig::read(config, name, warnings).spec();
}

}  // namespace bitaxon
