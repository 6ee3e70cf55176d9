// JSON as values of the template language, and back.
#pragma once

#include <string_view>

#include "template/value.h"

namespace bitaxon::jinja {

/// Reads JSON as Python's json.loads() does: integers of any size, floats, the order of keys; of
/// equal keys the last value counts. All texts are marked as input if `input`. `name` begins the
/// message of every Fault.
Value read_json(std::string_view json, std::string_view name, bool input);

struct JsonStyle {
  bool ascii_only = false;
  bool sort_keys = false;
  /// The text of one level of indentation. Empty: everything on one line.
  std::optional<std::string> indent;
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};

/// Writes JSON as Python's json.dumps() does. Throws Fault for values that JSON does not have.
TextRef write_json(const Value& value, const JsonStyle& style);

}  // namespace bitaxon::jinja
