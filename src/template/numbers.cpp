#include "template/numbers.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "template/unicode.h"

namespace bitaxon::jinja {
namespace {

bool is_ascii_digit(char c) { return c >= '0' && c <= '9'; }

/// The text without underscores. Empty if an underscore does not stand between two digits.
std::optional<std::string> without_underscores(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      result += text[i];
      continue;
    }
    const auto is_alnum = [](char c) {
      return is_ascii_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    };
    if (i == 0 || i + 1 == text.size() || !is_alnum(text[i - 1]) || !is_alnum(text[i + 1]))
      return std::nullopt;
  }
  return result;
}

unsigned base_of_prefix(std::string_view text) {
  if (text.size() < 2 || text[0] != '0') return 0;
  switch (text[1]) {
    case 'b':
    case 'B':
      return 2;
    case 'o':
    case 'O':
      return 8;
    case 'x':
    case 'X':
      return 16;
    default:
      return 0;
  }
}

Integer rounded_integer(const Integer& value, std::int64_t digits) {
  if (digits >= 0) return value;
  if (digits < -5000) return Integer(0);
  const Integer unit = Integer::power(Integer(10), Integer(-digits));
  auto [quotient, rest] = Integer::divide(value, unit);
  const int half = Integer::compare(rest + rest, unit);
  if (half > 0 || (half == 0 && quotient.is_odd())) quotient = quotient + Integer(1);
  return quotient * unit;
}

double rounded_float(double value, std::int64_t digits) {
  if (!std::isfinite(value) || digits > 323) return value;
  if (digits < -308) return std::copysign(0.0, value);
  if (digits >= 0) {
    char text[700];
    // printf rounds the exact binary value, halves to even.
    std::snprintf(text, sizeof text, "%.*f", static_cast<int>(digits), value);
    return std::strtod(text, nullptr);
  }
  const double unit = std::pow(10.0, static_cast<double>(-digits));
  return std::nearbyint(value / unit) * unit;
}

}  // namespace

std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char buffer[64];
  const auto end =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
  std::string_view text(buffer, static_cast<std::size_t>(end.ptr - buffer));
  std::string result;
  if (text.starts_with('-')) {
    result = "-";
    text.remove_prefix(1);
  }
  const std::size_t e = text.find('e');
  const int exponent = std::atoi(std::string(text.substr(e + 1)).c_str());
  std::string digits(text.substr(0, e));
  std::erase(digits, '.');
  if (exponent < -4 || exponent >= 16) {
    result += digits[0];
    if (digits.size() > 1) result.append(1, '.').append(digits, 1);
    return result + fmt::format("e{}{:02}", exponent < 0 ? '-' : '+', std::abs(exponent));
  }
  if (exponent < 0)
    return result.append("0.").append(static_cast<std::size_t>(-exponent - 1), '0') + digits;
  const auto whole = static_cast<std::size_t>(exponent + 1);
  if (digits.size() <= whole)
    return result.append(digits).append(whole - digits.size(), '0') + ".0";
  return result.append(digits, 0, whole).append(1, '.').append(digits, whole);
}

std::string_view stripped(std::string_view text) {
  const auto is_white = [](std::string_view part) {
    std::size_t at = 0;
    return is_space(next_code_point(part, at));
  };
  while (!text.empty()) {
    std::size_t at = 0;
    if (!is_space(next_code_point(text, at))) break;
    text.remove_prefix(at);
  }
  while (!text.empty()) {
    std::size_t begin = text.size() - 1;
    while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xc0) == 0x80) --begin;
    if (!is_white(text.substr(begin))) break;
    text = text.substr(0, begin);
  }
  return text;
}

std::optional<Integer> read_integer(std::string_view text, unsigned base) {
  text = stripped(text);
  bool negative = false;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    negative = text[0] == '-';
    text.remove_prefix(1);
  }
  const unsigned prefix = base_of_prefix(text);
  const bool literal = base == 0;
  if (prefix != 0 && (literal || base == prefix)) {
    base = prefix;
    text.remove_prefix(2);
    if (text.starts_with('_')) text.remove_prefix(1);
  }
  const std::optional<std::string> digits = without_underscores(text);
  if (!digits) return std::nullopt;
  if (literal && base == 0) {
    base = 10;
    // A literal such as 007 is ambiguous, so Python refuses it. Zeros alone are fine.
    if (digits->size() > 1 && (*digits)[0] == '0' &&
        digits->find_first_not_of('0') != std::string::npos)
      return std::nullopt;
  }
  if (digits->size() > 4300)
    throw Fault("Exceeds the limit (4300 digits) for integer string conversion");
  const std::optional<Integer> value = Integer::of_digits(*digits, base);
  return value && negative ? -*value : value;
}

std::optional<double> read_float(std::string_view text) {
  text = stripped(text);
  const std::optional<std::string> clean = without_underscores(text);
  if (!clean || clean->empty() || clean->size() > 5000) return std::nullopt;
  std::string_view body = *clean;
  if (body[0] == '+' || body[0] == '-') body.remove_prefix(1);
  const std::string word = lower(body);
  if (word == "inf" || word == "infinity" || word == "nan")
    return std::strtod(clean->c_str(), nullptr);
  // strtod also reads hexadecimal floats, which Python does not.
  if (body.find_first_not_of("0123456789.eE+-") != std::string_view::npos) return std::nullopt;
  char* end = nullptr;
  const double value = std::strtod(clean->c_str(), &end);
  if (end != clean->c_str() + clean->size()) return std::nullopt;
  return value;
}

double to_float(const Value& number) {
  return number.is(Kind::number) ? number.as_number() : number.as_integer().to_double();
}

Value rounded(const Value& number, std::int64_t digits) {
  if (number.is_integral()) return rounded_integer(number.as_integer(), digits);
  return rounded_float(number.as_number(), digits);
}

}  // namespace bitaxon::jinja
