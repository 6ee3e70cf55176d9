#include "model/families/family.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "bitaxon/error.h"
#include "formats/json.h"
#include "formats/quantization_config.h"
#include "model/families/bit_axon.h"
#include "model/families/config_reader.h"
#include "model/families/decoder.h"
#include "model/families/jamba.h"
#include "model/families/mamba.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

constexpr const char* kTypeKey = "model_type";
constexpr const char* kBitAxon = "bit_axon";

/// Old programs store the frequencies of rotary embeddings, which follow from config.json.
constexpr std::string_view kFrequencies = ".rotary_emb.inv_freq";

std::vector<Family>& families() {
  static std::vector<Family> all = {{kBitAxon, &describe_bit_axon},
                                    {"qwen2", &describe_qwen2, kFrequencies},
                                    {"qwen3", &describe_qwen3, kFrequencies},
                                    {"qwen3_moe", &describe_qwen3_moe, kFrequencies},
                                    {"mamba", &describe_mamba},
                                    {"falcon_mamba", &describe_falcon_mamba},
                                    {"jamba", &describe_jamba}};
  return all;
}

/// Refuses a config.json whose model_type names no family.
[[noreturn]] void refuse_type(ErrorKind kind, std::string_view name, std::string_view got) {
  std::vector<std::string> known;
  for (const Family& family : families()) known.push_back(family.model_type);
  throw Error(kind, fmt::format("{}: {}: expected one of {}, got {}", name, kTypeKey,
                                fmt::join(known, ", "), got));
}

/// Whether a config.json without model_type is one of another family than Bit-Axon, which has the
/// key hidden_dim and neither of the others.
bool is_of_other_family(const Json& config) {
  return !config.contains("hidden_dim") &&
         (config.contains("hidden_size") || config.contains("architectures"));
}

/// The model_type in a config.json. Each `-` becomes `_`, because both spellings are in use. Without
/// a model_type, Bit-Axon's. The family refuses JSON that is not an object.
std::string type_in(const Json& config, std::string_view name) {
  if (!config.is_object()) return kBitAxon;
  const auto type = config.find(kTypeKey);
  if (type == config.end()) {
    refuse_first_mamba(config, name);
    if (is_of_other_family(config)) refuse_type(ErrorKind::format, name, "no such key");
    return kBitAxon;
  }
  if (!type->is_string()) refuse_type(ErrorKind::format, name, printable_json(*type));
  std::string text = type->get<std::string>();
  std::ranges::replace(text, '-', '_');
  return text;
}

}  // namespace

void register_family(const Family& family) {
  for (Family& known : families())
    if (known.model_type == family.model_type) {
      known = family;
      return;
    }
  families().push_back(family);
}

bool is_unused_tensor(const ModelSpec& spec, std::string_view name) {
  return std::ranges::any_of(families(), [&](const Family& family) {
    return family.model_type == spec.family && !family.unused_tensors.empty() &&
           name.ends_with(family.unused_tensors);
  });
}

ModelSpec describe_model(std::string_view json, std::string_view name,
                         std::vector<std::string>& warnings) {
  const Json config = parse_json(json, name, kConfigLimits);
  const std::string type = type_in(config, name);
  for (const Family& family : families()) {
    if (family.model_type != type) continue;
    ModelSpec spec = family.describe(config, name, warnings);
    if (type != kBitAxon) {
      spec.quantization = quantization_of(config);
      spec.quantization_block = quantization_block(config);
    }
    return spec;
  }
  refuse_type(ErrorKind::unsupported, name, fmt::format("\"{}\"", printable(type, 60)));
}

}  // namespace bitaxon
