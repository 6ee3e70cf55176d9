// Reads fields of the components in tokenizer.json.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "formats/json.h"
#include "tokenizer/added_tokens.h"
#include "tokenizer/bpe_document.h"

namespace bitaxon {

/// The value of `key`; null if it is absent.
const Json& field(const Json& object, std::string_view key);
/// A boolean; `otherwise` if it is absent or null. Throws Error(format) for another type.
bool flag(const Json& object, std::string_view key, bool otherwise, const Place& place);
/// A text. Throws Error(format) for another type and if it is absent.
std::string text_field(const Json& object, std::string_view key, const Place& place);
/// A text of one character. Throws Error(format) for anything else.
std::string character_field(const Json& object, std::string_view key, const Place& place);
/// The type that a component names. Throws Error(format) for a component without a type.
std::string type_of(const Json& component, const Place& place);
/// A list. Throws Error(format) for another type and if it is absent.
const Json& list_field(const Json& object, std::string_view key, const Place& place);
/// An added token, without its id. Throws Error(format).
AddedToken read_added_token(const Json& json, const Place& place);
/// An id below kMaxTokenIds. Throws Error(format) for anything else.
std::int32_t id_of(const Json& value, const Place& place);

}  // namespace bitaxon
