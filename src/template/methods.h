// The methods of values.
#pragma once

#include <optional>
#include <string_view>

#include "template/value.h"

namespace bitaxon::jinja {

/// A method or an attribute of a value of this type, or nothing.
std::optional<Value> text_method(const Value& text, std::string_view name);
std::optional<Value> sequence_method(const Value& sequence, std::string_view name);
std::optional<Value> mapping_method(const Value& mapping, std::string_view name);
std::optional<Value> number_method(const Value& number, std::string_view name);

/// Undefined, with the message of a method that the sandbox refuses.
Value unsafe_attribute(const Value& value, std::string_view name);

/// Python's text.split(separator, limit) and its relatives. Null separator: runs of white space.
std::vector<Value> split(const Text& text, const Text* separator, std::int64_t limit);
std::vector<Value> split_from_end(const Text& text, const Text* separator, std::int64_t limit);
std::vector<Value> split_lines(const Text& text, bool keep_ends);
/// The text without the characters of `characters` (null: white space) at its ends.
TextRef strip(const Text& text, const Text* characters, bool left, bool right);
/// Negative limit: all.
TextRef replace(const Text& text, const Text& old, const Text& replacement, std::int64_t limit);
/// The texts of `items` with `separator` between them. Throws Fault for an item that is no text.
TextRef join_texts(const Text& separator, const std::vector<Value>& items);

/// Whether a text has characters of one case and none of the other.
bool is_upper_text(const Text& text);
bool is_lower_text(const Text& text);

/// Parts of text_method: the methods that split, and the methods that test and pad.
std::optional<Value> splitting_method(const Value& text, std::string_view name);
std::optional<Value> testing_method(const Value& text, std::string_view name);

}  // namespace bitaxon::jinja
