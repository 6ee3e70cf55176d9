// Values as text, as Python prints them.
#pragma once

#include "template/value.h"

namespace bitaxon::jinja {

/// Python's str(value).
TextRef text_of(const Value& value);
/// Adds str(value) to a text.
void print(TextBuilder& text, const Value& value);
/// Adds repr(value) to a text.
void print_repr(TextBuilder& text, const Value& value);
std::string repr(const Value& value);
/// Python's repr() of a string: the quotes as Python chooses them. `ascii_only` escapes all other
/// characters, as Python's ascii() does.
std::string quoted_text(std::string_view text, bool ascii_only = false);

/// The text with & < > " ' replaced by HTML entities, marked as safe.
TextRef escaped(const Value& value);

}  // namespace bitaxon::jinja
