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

std::vector<Family>& families() {
  static std::vector<Family> all = {
      {kBitAxon, &describe_bit_axon}, {"qwen2", &describe_qwen2},
      {"qwen3", &describe_qwen3},     {"qwen3_moe", &describe_qwen3_moe},
      {"mamba", &describe_mamba},     {"falcon_mamba", &describe_falcon_mamba},
      {"jamba", &describe_jamba}};
  return all;
}

/// The model_type in a config.json. Each `-` becomes `_`, because both spellings are in use. Empty
/// if there is no model_type, and if the JSON is not an object, which the family refuses later.
std::string type_in(const Json& config, std::string_view name) {
  if (!config.is_object() || !config.contains(kTypeKey)) return {};
  const Json& type = config[kTypeKey];
  if (!type.is_string())
    throw Error(ErrorKind::format, fmt::format("{}: {}: expected a string, got {}", name, kTypeKey,
                                               printable(type.dump(), 60)));
  std::string text = type.get<std::string>();
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

ModelSpec describe_model(std::string_view json, std::string_view name,
                         std::vector<std::string>& warnings) {
  const Json config = parse_json(json, name, kConfigLimits);
  const std::string type = type_in(config, name);
  if (type.empty()) refuse_first_mamba(config, name);
  if (type.empty()) return families().front().describe(config, name, warnings);
  std::vector<std::string> known;
  for (const Family& family : families()) {
    if (family.model_type == type) {
      ModelSpec spec = family.describe(config, name, warnings);
      if (type != kBitAxon) {
        spec.quantization = quantization_of(config);
        spec.quantization_block = quantization_block(config);
      }
      return spec;
    }
    known.push_back(family.model_type);
  }
  throw Error(ErrorKind::unsupported,
              fmt::format("{}: {}: expected one of {}, got \"{}\"", name, kTypeKey,
                          fmt::join(known, ", "), printable(type, 60)));
}

}  // namespace bitaxon
