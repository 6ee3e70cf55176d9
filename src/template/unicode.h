// Properties and case mappings of code points, as Python's str has them.
#pragma once

#include <string>
#include <string_view>

namespace bitaxon::jinja {

bool is_space(char32_t c);
bool is_alphabetic(char32_t c);
bool is_decimal(char32_t c);
/// A decimal digit or another character with the value of a digit, such as a superscript.
bool is_digit(char32_t c);
bool is_numeric(char32_t c);
bool is_upper(char32_t c);
bool is_lower(char32_t c);
bool is_title(char32_t c);
bool is_printable(char32_t c);
/// \w of Python's regular expressions.
inline bool is_word(char32_t c) { return is_alphabetic(c) || is_numeric(c) || c == '_'; }

std::string upper(std::string_view text);
std::string lower(std::string_view text);
std::string capitalized(std::string_view text);
std::string titled(std::string_view text);
std::string case_swapped(std::string_view text);
std::string case_folded(std::string_view text);

}  // namespace bitaxon::jinja
