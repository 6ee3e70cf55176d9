#include "tokenizer/component_json.h"

#include <fmt/format.h>

#include "platform/utf8.h"
#include "tokenizer/bpe.h"

namespace bitaxon {

const Json& field(const Json& object, std::string_view key) {
  static const Json null;
  const auto found = object.find(key);
  return found == object.end() ? null : *found;
}

bool flag(const Json& object, std::string_view key, bool otherwise, const Place& place) {
  const Json& value = field(object, key);
  if (value.is_null()) return otherwise;
  if (!value.is_boolean())
    place.at(key).broken("expected true or false, got " + place.brief(value));
  return value.get<bool>();
}

std::string text_field(const Json& object, std::string_view key, const Place& place) {
  const Json& value = field(object, key);
  if (!value.is_string()) place.at(key).broken("expected a string, got " + place.brief(value));
  return value.get<std::string>();
}

std::string character_field(const Json& object, std::string_view key, const Place& place) {
  std::string text = text_field(object, key, place);
  if (text.empty() || first_character(text).length != text.size())
    place.at(key).broken("expected one character, got " + in_quotes(text));
  return text;
}

std::string type_of(const Json& component, const Place& place) {
  const Json& type = field(component, "type");
  if (!component.is_object() || !type.is_string())
    place.broken("expected an object with a type, got " + place.brief(component));
  return type.get<std::string>();
}

const Json& list_field(const Json& object, std::string_view key, const Place& place) {
  const Json& list = field(object, key);
  if (!list.is_array()) place.at(key).broken("expected an array, got " + place.brief(list));
  return list;
}

std::int32_t id_of(const Json& value, const Place& place) {
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() >= kMaxTokenIds)
    place.broken(fmt::format("expected 0 to {}, got {}", kMaxTokenIds - 1, place.brief(value)));
  return value.get<std::int32_t>();
}

AddedToken read_added_token(const Json& json, const Place& place) {
  if (!json.is_object()) place.broken("expected an object, got " + place.brief(json));
  AddedToken token;
  token.content = text_field(json, "content", place);
  token.single_word = flag(json, "single_word", false, place);
  token.lstrip = flag(json, "lstrip", false, place);
  token.rstrip = flag(json, "rstrip", false, place);
  token.special = flag(json, "special", false, place);
  token.normalized = flag(json, "normalized", !token.special, place);
  return token;
}

}  // namespace bitaxon
