#include "model/families/config_reader.h"

#include <fmt/format.h>

#include <cmath>

#include "bitaxon/error.h"
#include "core/align.h"
#include "formats/quantization_config.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

bool is_positive(const Json& value) {
  if (!value.is_number()) return false;
  const auto number = static_cast<float>(value.get<double>());
  return number > 0 && std::isfinite(number);
}

}  // namespace

ConfigReader::ConfigReader(const Json& object, std::string_view name, std::string path)
    : object_(&object), name_(name), path_(std::move(path)) {
  if (!object.is_object())
    throw Error(ErrorKind::format,
                fmt::format("{}: {}expected a JSON object, got {}", name_,
                            path_.empty() ? "" : path_ + ": ", printable_json(object)));
}

ConfigReader::Found ConfigReader::find(Names names) const {
  for (const char* key : {names.first, names.second, names.third}) {
    if (key == nullptr) break;
    if (const auto found = object_->find(key); found != object_->end() && !found->is_null())
      return {key, &*found};
  }
  return {};
}

bool ConfigReader::is_null(const char* key) {
  const auto found = object_->find(key);
  if (found == object_->end() || !found->is_null()) return false;
  known_[key] = nullptr;
  return true;
}

ConfigReader::Found ConfigReader::read(Names names) {
  const Found found = find(names);
  if (found.value != nullptr) known_[found.key] = *found.value;
  return found;
}

std::string ConfigReader::message(Names names, std::string_view expected) const {
  Found found = find(names);
  std::string got = found.value != nullptr ? printable_json(*found.value) : "no such key";
  if (found.value == nullptr)
    for (const char* key : {names.third, names.second, names.first})
      if (key != nullptr && object_->contains(key)) {
        found.key = key;
        got = "null";
      }
  return fmt::format("{}: {}{}: expected {}, got {}", name_, path_,
                     found.key != nullptr ? found.key : names.first, expected, got);
}

void ConfigReader::refuse(Names names, std::string_view expected) const {
  throw Error(ErrorKind::format, message(names, expected));
}

void ConfigReader::refuse_objects(std::string_view expected) const {
  for (const auto& [key, value] : object_->items())
    if (value.is_object()) refuse_unsupported({key.c_str()}, expected);
}

void ConfigReader::refuse_unsupported(Names names, std::string_view expected) const {
  throw Error(ErrorKind::unsupported, message(names, expected));
}

std::int64_t ConfigReader::integer(Names names, std::int64_t otherwise, std::int64_t min,
                                   std::int64_t max) {
  const Found found = read(names);
  if (found.value == nullptr) return otherwise;
  const std::optional<std::int64_t> number = whole_number(*found.value);
  if (!number || *number < min || *number > max)
    refuse(names, fmt::format("a whole number from {} to {}", min, max));
  return *number;
}

bool ConfigReader::boolean(Names names, bool otherwise) {
  const Found found = read(names);
  if (found.value == nullptr) return otherwise;
  if (!found.value->is_boolean()) refuse(names, "true or false");
  return found.value->get<bool>();
}

bool ConfigReader::is_text(Names names, std::string_view text) const {
  const Found found = find(names);
  return found.value != nullptr && *found.value == text;
}

std::optional<double> ConfigReader::optional_positive(Names names) {
  const Found found = read(names);
  if (found.value == nullptr) return std::nullopt;
  if (!is_positive(*found.value)) refuse(names, "a number > 0");
  return found.value->get<double>();
}

std::optional<double> ConfigReader::optional_not_negative(Names names) {
  const Found found = read(names);
  if (found.value == nullptr) return std::nullopt;
  if (!is_positive(*found.value) && *found.value != 0) refuse(names, "a number >= 0");
  return found.value->get<double>();
}

double ConfigReader::positive(Names names, double otherwise) {
  return optional_positive(names).value_or(otherwise);
}

std::string ConfigReader::text(Names names, std::string_view otherwise) {
  const Found found = read(names);
  if (found.value == nullptr) return std::string(otherwise);
  if (!found.value->is_string()) refuse(names, "a string");
  return found.value->get<std::string>();
}

std::vector<std::string> ConfigReader::texts(Names names) {
  const Found found = read(names);
  std::vector<std::string> all;
  if (found.value == nullptr) return all;
  if (!found.value->is_array()) refuse(names, "a list of strings");
  for (const Json& item : *found.value) {
    if (!item.is_string()) refuse(names, "a list of strings");
    all.push_back(item.get<std::string>());
  }
  return all;
}

std::vector<std::int64_t> ConfigReader::integers(Names names) {
  const Found found = read(names);
  std::vector<std::int64_t> all;
  if (found.value == nullptr) return all;
  if (!found.value->is_array()) refuse(names, "a list of whole numbers");
  for (const Json& item : *found.value) {
    const std::optional<std::int64_t> number = whole_number(item);
    if (!number || *number < 0) refuse(names, "a list of whole numbers");
    all.push_back(*number);
  }
  return all;
}

std::vector<std::int32_t> ConfigReader::ids(Names names) {
  const Found found = find(names);
  if (found.value == nullptr) return {};
  const auto ids = ids_of(*found.value);
  if (!ids) refuse(names, "an id or a list of ids");
  return *ids;
}

std::optional<ConfigReader> ConfigReader::object(Names names) {
  const Found found = read(names);
  if (found.value == nullptr) return std::nullopt;
  if (!found.value->is_object()) refuse(names, "an object");
  return ConfigReader(*found.value, name_, fmt::format("{}{}.", path_, found.key));
}

std::int64_t read_rank(ConfigReader& config, ConfigReader::Names names, std::int64_t hidden_size) {
  if (config.is_text(names, "auto")) {
    config.text(names, "");  // records the key
    return divide_up(hidden_size, 16);
  }
  return config.size(names, divide_up(hidden_size, 16));
}

AttentionSpec read_heads(ConfigReader& config, std::int64_t hidden_size, std::int64_t n_kv_heads,
                         std::optional<std::int64_t> head_dim) {
  constexpr ConfigReader::Names kHeads = {"num_attention_heads"};
  constexpr ConfigReader::Names kKvHeads = {"num_key_value_heads"};
  constexpr ConfigReader::Names kHeadDim = {"head_dim"};
  AttentionSpec attention;
  attention.n_heads = config.size(kHeads, 32);
  const bool is_null = config.is_null(kKvHeads.first);
  attention.n_kv_heads = config.size(kKvHeads, is_null ? attention.n_heads : n_kv_heads);
  if (attention.n_heads % attention.n_kv_heads != 0)
    config.refuse(kKvHeads,
                  fmt::format("a divisor of num_attention_heads ({})", attention.n_heads));
  if (!head_dim && !config.has(kHeadDim) && hidden_size % attention.n_heads != 0)
    config.refuse(kHeads, fmt::format("a divisor of hidden_size ({})", hidden_size));
  attention.head_dim = config.size(kHeadDim, head_dim.value_or(hidden_size / attention.n_heads));
  return attention;
}

void refuse_other_activation(ConfigReader& config) {
  constexpr ConfigReader::Names kActivation = {"hidden_act"};
  if (config.text(kActivation, "silu") != "silu")
    config.refuse_unsupported(kActivation, "\"silu\"");
}

std::optional<std::vector<std::int32_t>> ids_of(const Json& value) {
  std::vector<std::int32_t> ids;
  for (const Json& item : value.is_array() ? value : Json::array({value})) {
    const std::optional<std::int64_t> id = whole_number(item);
    if (!id) return std::nullopt;
    if (*id >= 0 && *id <= INT32_MAX) ids.push_back(static_cast<std::int32_t>(*id));
  }
  return ids;
}

std::string quantization_method(const Json& block) {
  if (!block.is_object()) return "";
  std::string text;
  if (const auto method = block.find("quant_method"); method != block.end() && method->is_string())
    text = printable(method->get<std::string>(), 40);
  if (const auto bits = block.find("bits"); bits != block.end() && bits->is_number_integer())
    text += fmt::format("{}{} bits", text.empty() ? "" : ", ", bits->get<std::int64_t>());
  return text;
}

std::string quantization_of(const Json& config) {
  for (const char* key : kQuantizationKeys)
    if (const auto block = config.find(key); block != config.end())
      if (std::string text = quantization_method(*block); !text.empty()) return text;
  return "";
}

}  // namespace bitaxon
