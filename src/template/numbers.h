// Numbers as text, and text as numbers, as Python writes and reads them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "template/value.h"

namespace bitaxon::jinja {

/// The shortest text that reads as the same float: "0.1", "1e-07", "1e+22", "nan".
std::string float_text(double value);
/// Python's int(text, base): white space, a sign, a prefix of the base, single underscores. Base 0
/// takes the base from the prefix. Empty if the text is no such number.
std::optional<Integer> read_integer(std::string_view text, unsigned base = 10);
/// Python's float(text). Empty if the text is no number.
std::optional<double> read_float(std::string_view text);
/// Python's float(value) for numbers; an integer must be in range.
double to_float(const Value& number);
/// Python's round(): halves to even. An integer stays an integer.
Value rounded(const Value& number, std::int64_t digits);
/// The text without white space at both ends.
std::string_view stripped(std::string_view text);

}  // namespace bitaxon::jinja
