#include "bitaxon/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "bitaxon/error.h"
#include "formats/json.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

/// A whole-number key, with the largest value that means anything: far above any model, low enough
/// that products of a few of them are checked without surprises.
struct IntegerKey {
  const char* name;
  std::int64_t Config::*member;
  std::int64_t max;
};
constexpr std::int64_t kMaxDim = std::int64_t{1} << 20;
constexpr std::array kIntegerKeys = {
    IntegerKey{"vocab_size", &Config::vocab_size, std::int64_t{1} << 24},
    IntegerKey{"hidden_dim", &Config::hidden_dim, kMaxDim},
    IntegerKey{"num_layers", &Config::num_layers, 4096},
    IntegerKey{"num_heads", &Config::num_heads, kMaxDim},
    IntegerKey{"d_source_model", &Config::d_source_model, kMaxDim},
    IntegerKey{"ssm_d_state", &Config::ssm_d_state, 4096},
    IntegerKey{"ssm_d_conv", &Config::ssm_d_conv, 4096},
    IntegerKey{"ssm_expand", &Config::ssm_expand, 64},
    IntegerKey{"ssm_scan_step", &Config::ssm_scan_step, std::int64_t{1} << 31},
    IntegerKey{"swa_window_size", &Config::swa_window_size, std::int64_t{1} << 31},
    IntegerKey{"moe_num_experts", &Config::moe_num_experts, 65536},
    IntegerKey{"moe_top_k", &Config::moe_top_k, 65536},
    IntegerKey{"moe_intermediate_dim", &Config::moe_intermediate_dim, kMaxDim},
    IntegerKey{"max_seq_len", &Config::max_seq_len, (std::int64_t{1} << 31) - 1},
};

struct BooleanKey {
  const char* name;
  bool Config::*member;
};
constexpr std::array kBooleanKeys = {
    BooleanKey{"moe_shared_expert", &Config::moe_shared_expert},
    BooleanKey{"weight_tying", &Config::weight_tying},
};

constexpr const char* kEpsKey = "rms_norm_eps";

/// mlx writes the first, the hub's tools the second.
constexpr std::array kQuantizationKeys = {"quantization", "quantization_config"};

/// Read where the end of a text is looked for (end_of_sequence.h).
constexpr std::array kKeysOfTokenizers = {"eos_token", "eos_token_id"};

[[noreturn]] void fail_key(std::string_view name, std::string_view key, const std::string& expected,
                           const std::string& got) {
  throw Error(ErrorKind::format,
              fmt::format("{}: {}: expected {}, got {}", name, key, expected, got));
}

/// A value as a message shows it: short, on one line.
std::string shown(const Json& value) {
  constexpr std::size_t kMax = 60;
  std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (text.size() > kMax) text = text.substr(0, kMax) + "...";
  return text;
}

bool read_key(Config& config, const std::string& key, const Json& value, std::string_view name) {
  for (const IntegerKey& known : kIntegerKeys) {
    if (key != known.name) continue;
    // Compared without a sign: what is beyond int64 would come out negative.
    if (!value.is_number_integer() ||
        (value.is_number_unsigned() &&
         value.get<std::uint64_t>() > static_cast<std::uint64_t>(known.max)))
      fail_key(name, key, fmt::format("a whole number from 1 to {}", known.max), shown(value));
    config.*known.member = value.get<std::int64_t>();
    return true;
  }
  for (const BooleanKey& known : kBooleanKeys) {
    if (key != known.name) continue;
    if (!value.is_boolean()) fail_key(name, key, "true or false", shown(value));
    config.*known.member = value.get<bool>();
    return true;
  }
  if (key != kEpsKey) return false;
  if (!value.is_number()) fail_key(name, key, "a number > 0", shown(value));
  config.rms_norm_eps = value.get<double>();
  return true;
}

/// "gptq, 4 bits"; empty where the object says neither.
std::string quantization_of(const Json& value) {
  if (!value.is_object()) return "";
  std::string text;
  if (value.contains("quant_method") && value["quant_method"].is_string())
    text = printable(value["quant_method"].get<std::string>(), 40);
  if (value.contains("bits") && value["bits"].is_number_integer())
    text += fmt::format("{}{} bits", text.empty() ? "" : ", ", value["bits"].get<std::int64_t>());
  return text;
}

template <class Keys>
bool is_one_of(const Keys& keys, const std::string& key) {
  return std::ranges::find(keys, key) != keys.end();
}

}  // namespace

std::string_view name_of(LayerKind kind) {
  switch (kind) {
    case LayerKind::ssm:
      return "ssm";
    case LayerKind::swa_moe:
      return "swa_moe";
    case LayerKind::ssm_moe:
      return "ssm_moe";
  }
  return "?";
}

LayerKind Config::layer_kind(std::int64_t layer) const {
  const std::int64_t third = num_layers / 3;
  if (layer < third) return LayerKind::ssm;
  return layer < 2 * third ? LayerKind::swa_moe : LayerKind::ssm_moe;
}

Config Config::small() {
  Config config;
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

Config Config::medium() {
  Config config;
  config.hidden_dim = 2048;
  config.num_layers = 12;
  config.num_heads = 16;
  config.d_source_model = 1536;
  config.ssm_d_state = 12;
  config.moe_num_experts = 6;
  config.moe_intermediate_dim = 3072;
  return config;
}

Config Config::parse(std::string_view json, std::string_view name,
                     std::vector<std::string>& warnings) {
  const Json object = parse_json(json, name, {.max_bytes = std::size_t{1} << 20, .max_depth = 16});
  if (!object.is_object())
    throw Error(ErrorKind::format,
                fmt::format("{}: expected a JSON object, got {}", name, shown(object)));
  Config config;
  for (const auto& [key, value] : object.items()) {
    if (is_one_of(kQuantizationKeys, key)) {
      if (config.quantization.empty()) config.quantization = quantization_of(value);
    } else if (!read_key(config, key, value, name) && !is_one_of(kKeysOfTokenizers, key)) {
      warnings.push_back(fmt::format("{}: unknown key \"{}\" is ignored", name, printable(key)));
    }
  }
  config.validate(name);
  return config;
}

void Config::validate(std::string_view name) const {
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
  // Each factor is at most 2^24, so that a product of two or three fits 64 bits.
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

std::string Config::to_json() const {
  Json object = Json::object();
  for (const IntegerKey& key : kIntegerKeys) object[key.name] = this->*key.member;
  for (const BooleanKey& key : kBooleanKeys) object[key.name] = this->*key.member;
  object[kEpsKey] = rms_norm_eps;
  return object.dump(2) + "\n";
}

}  // namespace bitaxon
