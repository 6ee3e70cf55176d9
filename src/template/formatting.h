// Formatting of values: the % operator, str.format() and format specifications.
#pragma once

#include "template/value.h"

namespace bitaxon::jinja {

/// Python's text % arguments. A tuple holds several arguments, a mapping named ones.
Value percent_format(const Text& format, const Value& arguments);
/// Python's text.format(arguments...), with attributes and items of arguments.
Value brace_format(const Text& format, const Arguments& arguments);

/// A format specification: [[fill]align][sign][#][0][width][grouping][.precision][type]
struct FormatSpec {
  char32_t fill = ' ';
  char align = 0;  ///< '<', '>', '^', '=', or 0 for the default of the type
  char sign = '-';
  bool alternate = false;
  std::int64_t width = 0;
  char grouping = 0;
  std::int64_t precision = -1;  ///< negative: not given
  char type = 0;
};

/// Throws Fault for a specification that Python refuses.
FormatSpec parse_spec(std::string_view spec);
TextRef format_value(const Value& value, std::string_view spec);

/// The character with the code point `value`. Throws Fault if there is none.
TextRef character_of(const Value& value);
/// The digits of a number without a sign: of a float in the styles e, f, g, E, F, G or %.
std::string float_digits(double magnitude, char type, std::int64_t precision, bool alternate);
/// Pads `text` to a width. The sign is the first character of `text` for align '='.
TextRef padded(const Text& text, const FormatSpec& spec, char default_align);
/// Throws Fault for a width or precision that no text needs.
std::int64_t checked_width(const Integer& width);

}  // namespace bitaxon::jinja
