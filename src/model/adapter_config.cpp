#include "model/adapter_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <utility>
#include <vector>

#include "bitaxon/error.h"
#include "formats/json.h"
#include "formats/pointer_file.h"
#include "model/adapter_metadata.h"
#include "model/families/config_reader.h"
#include "platform/file.h"
#include "platform/optional_file.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

namespace fs = std::filesystem;

constexpr double kDefaultScale = 20;
constexpr std::int64_t kMaxRank = std::int64_t{1} << 20;

/// Whether a value of PEFT's configuration means that the feature of its key is not used.
bool is_off(const Json& value) { return value.is_null() || value.empty() || value == false; }

/// The values of layers whose names match a pattern. PEFT takes a pattern as a regular expression
/// for the end of a name. In practice patterns are names, so only names are read here.
class NamedValues {
 public:
  /// Reads an object of numbers > 0. `file` begins messages. Throws Error(format, unsupported).
  NamedValues(const Json& config, const char* key, std::string_view file) {
    const auto found = config.find(key);
    if (found == config.end() || found->is_null()) return;
    const std::string name = fmt::format("{}: {}", file, key);
    if (!found->is_object())
      throw Error(ErrorKind::format,
                  fmt::format("{}: expected an object, got {}", name, printable_json(*found)));
    for (const auto& [pattern, value] : found->items()) {
      if (!value.is_number() || !(value.get<double>() > 0))
        throw Error(ErrorKind::format, fmt::format("{}: {}: expected a number > 0, got {}", name,
                                                   printable(pattern, 60), printable_json(value)));
      values_.push_back({name_in(pattern, name), pattern.starts_with('^'), value.get<double>()});
    }
  }

  /// The value of the first pattern that matches the layer, else `otherwise`.
  double of(std::string_view path, double otherwise) const {
    for (const Value& value : values_)
      if (matches(value, path)) return value.number;
    return otherwise;
  }

 private:
  struct Value {
    std::string name;
    bool is_whole;  ///< the name is a whole path, not the end of one
    double number;
  };

  /// The name that a pattern stands for. Its dots may be escaped.
  static std::string name_in(std::string_view pattern, std::string_view key) {
    std::string name;
    std::string_view rest = pattern;
    if (rest.starts_with('^')) rest.remove_prefix(1);
    for (std::size_t i = 0; i < rest.size(); ++i) {
      if (rest[i] == '\\' && i + 1 < rest.size() && rest[i + 1] == '.') continue;
      const bool is_plain = std::isalnum(static_cast<unsigned char>(rest[i])) != 0 ||
                            rest[i] == '_' || rest[i] == '-' || rest[i] == '.';
      if (!is_plain)
        throw Error(ErrorKind::unsupported,
                    fmt::format("{}: expected names of layers, got the regular expression \"{}\"",
                                key, printable(pattern, 60)));
      name += rest[i];
    }
    return name;
  }

  static bool matches(const Value& value, std::string_view path) {
    if (path == value.name) return true;
    return !value.is_whole && path.ends_with(value.name) &&
           path[path.size() - value.name.size() - 1] == '.';
  }

  std::vector<Value> values_;
};

/// Refuses what is more than a product that is added to weights.
void refuse_more_than_products(ConfigReader& config, const Json& json) {
  constexpr ConfigReader::Names kType = {"peft_type"};
  if (!config.has(kType)) config.refuse(kType, "\"LORA\"");
  if (config.text(kType, "") != "LORA") config.refuse_unsupported(kType, "\"LORA\"");
  if (config.text({"bias"}, "none") != "none")
    config.refuse_unsupported({"bias"}, "\"none\", because biases are not adapted");
  constexpr const char* kFeatures[] = {"modules_to_save",   "trainable_token_indices",
                                       "target_parameters", "layer_replication",
                                       "lora_bias",         "alora_invocation_tokens",
                                       "arrow_config",      "kasa_config",
                                       "monteclora_config", "use_bdlora",
                                       "use_qalora"};
  for (const char* key : kFeatures)
    if (const auto found = json.find(key); found != json.end() && !is_off(*found))
      config.refuse_unsupported({key}, "nothing, because it changes more than linear layers do");
  // Some ways to begin a training change the weights of the base, too.
  constexpr std::string_view kKeepBase[] = {"gaussian", "eva", "orthogonal", "mica"};
  constexpr ConfigReader::Names kInit = {"init_lora_weights"};
  const auto init = json.find(kInit.first);
  if (init == json.end() || !init->is_string()) return;
  if (std::ranges::find(kKeepBase, init->get<std::string>()) == std::end(kKeepBase))
    config.refuse_unsupported(kInit,
                              "true or another way that leaves the base's weights as they are");
}

AdapterConfig peft_config(const Json& json, std::string_view name) {
  ConfigReader config(json, name);
  refuse_more_than_products(config, json);
  const auto rank = static_cast<double>(config.integer({"r"}, 8, 1, kMaxRank));
  const double alpha = config.positive({"lora_alpha"}, 8);
  const bool is_stabilized = config.boolean({"use_rslora"}, false);
  const bool is_dora = config.boolean({"use_dora"}, false);
  const auto scale_of = [=, file = std::string(name),
                         ranks = NamedValues(json, "rank_pattern", name),
                         alphas = NamedValues(json, "alpha_pattern", name)](const std::string& path,
                                                                            std::int64_t stored) {
    const double expected = ranks.of(path, rank);
    const auto r = static_cast<double>(stored);
    if (r != expected)
      throw Error(ErrorKind::format,
                  fmt::format("{}: r: expected {}, the rank of the adapter of {}, got {}", file,
                              stored, printable(path), expected));
    return alphas.of(path, alpha) / (is_stabilized ? std::sqrt(r) : r);
  };
  return {scale_of, is_dora};
}

AdapterConfig mlx_config(const Json& json, std::string_view name) {
  ConfigReader config(json, name);
  constexpr ConfigReader::Names kType = {"fine_tune_type"};
  const std::string type = config.text(kType, "lora");
  if (type != "lora" && type != "dora") config.refuse_unsupported(kType, "\"lora\" or \"dora\"");
  double scale = kDefaultScale;
  if (auto parameters = config.object({"lora_parameters"}))
    scale = parameters->positive({"scale"}, scale);
  return {[scale](const std::string&, std::int64_t) { return scale; }, type == "dora"};
}

AdapterConfig config_of(const AdapterMetadata& adapter, const std::string& name,
                        std::optional<double> scale) {
  if (scale.value_or(adapter.scale) != adapter.scale)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("lora-scale: expected {}, the scale of {}, got {}", adapter.scale, name,
                            *scale));
  const auto scale_of = [adapter, name](const std::string& path, std::int64_t rank) {
    if (rank != adapter.rank)
      throw Error(ErrorKind::format,
                  fmt::format("{}: metadata \"rank\": expected {}, the rank of the adapter of {}, "
                              "got {}",
                              name, rank, printable(path), adapter.rank));
    return adapter.scale;
  };
  return {scale_of, adapter.kind == AdapterKind::dora};
}

}  // namespace

AdapterConfig parse_adapter_config(std::string_view text, std::string_view name,
                                   AdapterLayout layout) {
  const Json json = parse_json(text, name, kConfigLimits);
  return layout == AdapterLayout::peft ? peft_config(json, name) : mlx_config(json, name);
}

AdapterConfig read_adapter_config(const fs::path& adapter,
                                  const std::map<std::string, std::string>& metadata,
                                  AdapterLayout layout, std::optional<double> scale) {
  const std::string file = printable_path(adapter.string());
  if (const auto described = read_adapter_metadata(metadata, file))
    return config_of(*described, file, scale);
  const bool is_peft = layout == AdapterLayout::peft;
  const fs::path path = adapter.parent_path() / "adapter_config.json";
  const std::string name = printable_path(path.string());
  AdapterConfig config{[](const std::string&, std::int64_t) { return kDefaultScale; }};
  if (optional_file_exists(path)) {
    const std::string text = read_whole_file(path, kConfigLimits.max_bytes);
    refuse_pointer_or_empty(text, path);
    config = parse_adapter_config(text, name, layout);
  } else if (is_peft && !scale) {
    throw Error(ErrorKind::io,
                fmt::format("{}: expected this file beside an adapter of PEFT, because it tells "
                            "the adapter's scale, found none; see --lora-scale",
                            name));
  }
  if (scale)
    config.scale_of = [factor = *scale](const std::string&, std::int64_t) { return factor; };
  return config;
}

}  // namespace bitaxon
