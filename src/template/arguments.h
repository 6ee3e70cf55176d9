// Matches the arguments of a call to the parameters of a function, as Python does.
#pragma once

#include <initializer_list>
#include <string_view>

#include "template/value.h"

namespace bitaxon::jinja {

class BoundArguments {
 public:
  /// Throws Fault for too many, unknown or repeated arguments, and if one of the first `required`
  /// parameters is missing.
  BoundArguments(std::string_view function, const Arguments& arguments,
                 std::initializer_list<std::string_view> parameters, std::size_t required = 0);

  bool has(std::size_t parameter) const { return values_[parameter] != nullptr; }
  const Value& operator[](std::size_t parameter) const { return *values_[parameter]; }
  /// Whether the argument is given and not none.
  bool is_set(std::size_t parameter) const {
    return has(parameter) && !values_[parameter]->is_none();
  }
  /// The argument as a value, or `fallback`.
  Value value(std::size_t parameter, Value fallback = {}) const;
  bool flag(std::size_t parameter, bool fallback) const;
  /// The argument as an integer of 64 bits. Throws Fault if it is no integer.
  std::int64_t integer(std::size_t parameter, std::int64_t fallback) const;
  /// The argument as a text. Throws Fault if it is no text.
  const Text& text(std::size_t parameter) const;

 private:
  std::string_view function_;
  std::vector<const Value*> values_;
};

/// The integer of an integral value as 64 bits. Throws Fault for other values.
std::int64_t index_value(const Value& value);

}  // namespace bitaxon::jinja
