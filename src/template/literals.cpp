#include "template/literals.h"

#include <fmt/format.h>

#include "platform/utf8.h"
#include "template/lexer.h"
#include "template/text.h"

namespace bitaxon::jinja {
namespace {

bool is_digit_of(char c, unsigned base) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0') < base;
  return base == 16 && ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'));
}

/// The end of digits with single underscores between them.
std::size_t end_of_digits(std::string_view text, std::size_t at, unsigned base = 10) {
  const auto digit = [&](std::size_t i) { return i < text.size() && is_digit_of(text[i], base); };
  if (!digit(at)) return at;
  while (digit(at) || (at < text.size() && text[at] == '_' && digit(at + 1))) ++at;
  return at;
}

/// The value of `count` hexadecimal digits. Throws Fault if there are fewer.
char32_t hexadecimal(std::string_view text, std::size_t at, std::size_t count, int line) {
  char32_t value = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (at + i >= text.size() || !is_digit_of(text[at + i], 16))
      fail_at(line, "truncated escape in a string");
    const char c = text[at + i];
    value = value * 16 + static_cast<char32_t>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    if (value > 0x10ffff) fail_at(line, "illegal Unicode character in a string");
  }
  return value;
}

void append_escape(std::string& result, char32_t c, int line) {
  if (c >= 0xd800 && c < 0xe000) fail_at(line, "a surrogate in a string is not supported");
  append_character(result, c);
}

/// Appends the character of the escape behind a backslash at `at`. Returns the place behind it.
std::size_t read_escape(std::string& result, std::string_view text, std::size_t at, int line) {
  constexpr std::string_view kNames = "\\'\"abfnrtv", kValues = "\\'\"\a\b\f\n\r\t\v";
  const char c = text[at];
  if (const std::size_t place = kNames.find(c); place != kNames.npos) {
    result += kValues[place];
    return at + 1;
  }
  if (c == '\n') return at + 1;
  if (c == 'x' || c == 'u' || c == 'U') {
    const std::size_t count = c == 'x' ? 2 : c == 'u' ? 4 : 8;
    append_escape(result, hexadecimal(text, at + 1, count, line), line);
    return at + 1 + count;
  }
  if (is_digit_of(c, 8)) {
    char32_t value = 0;
    std::size_t end = at;
    for (; end < at + 3 && end < text.size() && is_digit_of(text[end], 8); ++end)
      value = value * 8 + static_cast<char32_t>(text[end] - '0');
    append_character(result, value);
    return end;
  }
  if (c == 'N') fail_at(line, "characters by their names in a string are not supported");
  // Python keeps the backslash of an unknown escape.
  result += '\\';
  return at;
}

}  // namespace

std::size_t end_of_integer(std::string_view text, std::size_t at) {
  if (at >= text.size() || !is_digit_of(text[at], 10)) return at;
  if (text[at] == '0' && at + 1 < text.size()) {
    const char kind = static_cast<char>(text[at + 1] | 0x20);
    const unsigned base = kind == 'b' ? 2 : kind == 'o' ? 8 : kind == 'x' ? 16 : 0;
    if (base != 0) {
      std::size_t digits = at + 2;
      if (digits < text.size() && text[digits] == '_') ++digits;
      const std::size_t end = end_of_digits(text, digits, base);
      if (end != digits) return end;
    }
  }
  if (text[at] != '0') return end_of_digits(text, at);
  std::size_t end = at + 1;
  while (end < text.size() &&
         (text[end] == '0' || (text[end] == '_' && end + 1 < text.size() && text[end + 1] == '0')))
    ++end;
  return end;
}

std::size_t end_of_float(std::string_view text, std::size_t at) {
  std::size_t end = end_of_digits(text, at);
  if (end == at) return at;
  bool is_float = false;
  if (end < text.size() && text[end] == '.') {
    const std::size_t fraction = end_of_digits(text, end + 1);
    if (fraction != end + 1) {
      end = fraction;
      is_float = true;
    }
  }
  if (end < text.size() && (text[end] | 0x20) == 'e') {
    std::size_t digits = end + 1;
    if (digits < text.size() && (text[digits] == '+' || text[digits] == '-')) ++digits;
    const std::size_t exponent = end_of_digits(text, digits);
    if (exponent != digits) return exponent;
  }
  return is_float ? end : at;
}

std::string unescaped(std::string_view text, int line) {
  std::string result;
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] != '\\' || at + 1 == text.size()) {
      result += text[at++];
      continue;
    }
    at = read_escape(result, text, at + 1, line);
  }
  return result;
}

}  // namespace bitaxon::jinja
