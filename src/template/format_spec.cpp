#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "platform/utf8.h"
#include "template/formatting.h"
#include "template/numbers.h"
#include "template/printing.h"

namespace bitaxon::jinja {
namespace {

constexpr std::int64_t kMaxWidth = 1 << 24;

bool is_align(char32_t c) { return c == '<' || c == '>' || c == '=' || c == '^'; }

[[noreturn]] void refuse(char type, std::string_view of) {
  throw Fault(fmt::format("Unknown format code '{}' for object of type '{}'", type, of));
}

std::string grouped(const std::string& digits, const FormatSpec& spec, std::size_t size) {
  // Only the digits before the point are grouped.
  const std::size_t whole =
      std::min(digits.find_first_not_of("0123456789abcdefABCDEF"), digits.size());
  std::string result;
  for (std::size_t i = 0; i < whole; ++i) {
    if (i > 0 && (whole - i) % size == 0) result += spec.grouping;
    result += digits[i];
  }
  return result + digits.substr(whole);
}

std::string integer_with_spec(const Integer& number, const FormatSpec& spec) {
  const char type = spec.type;
  const unsigned base = type == 'b' ? 2 : type == 'o' ? 8 : type == 'x' || type == 'X' ? 16 : 10;
  std::string digits = (number.is_negative() ? -number : number).text(base);
  if (spec.grouping) digits = grouped(digits, spec, base == 10 ? 3 : 4);
  if (spec.alternate && base != 10) digits.insert(0, base == 2 ? "0b" : base == 8 ? "0o" : "0x");
  if (type == 'X')
    for (char& c : digits) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
  return digits;
}

/// Like g, but with a digit after the point, for which g would have one digit more.
std::string general_digits(double magnitude, const FormatSpec& spec) {
  const std::int64_t precision = std::max<std::int64_t>(spec.precision, 1);
  std::string digits = float_digits(magnitude, 'g', precision, spec.alternate);
  if (digits.find_first_of(".enai") != std::string::npos) return digits;
  if (static_cast<std::int64_t>(digits.size()) < precision) return digits + ".0";
  digits = float_digits(magnitude, 'e', precision - 1, spec.alternate);
  const std::size_t exponent = digits.find('e');
  std::size_t end = exponent;
  if (digits.find('.') != std::string::npos) end = digits.find_last_not_of('0', exponent - 1) + 1;
  if (digits[end - 1] == '.') --end;
  return digits.substr(0, end) + digits.substr(exponent);
}

std::string float_with_spec(double magnitude, const FormatSpec& spec) {
  std::string digits;
  if (spec.type == 0 && spec.precision < 0) {
    digits = float_text(magnitude);
  } else if (spec.type == 0) {
    digits = general_digits(magnitude, spec);
  } else if (spec.type == '%') {
    digits = float_digits(magnitude * 100, 'f', spec.precision < 0 ? 6 : spec.precision,
                          spec.alternate) +
             "%";
  } else {
    digits = float_digits(magnitude, spec.type == 'n' ? 'g' : spec.type,
                          spec.precision < 0 ? 6 : spec.precision, spec.alternate);
  }
  return spec.grouping ? grouped(digits, spec, 3) : digits;
}

TextRef format_number(const Value& value, const FormatSpec& spec) {
  const bool as_float =
      value.is(Kind::number) ||
      (spec.type != 0 && std::string_view("eEfFgG%").find(spec.type) != std::string_view::npos);
  std::string digits;
  bool negative = false;
  if (as_float) {
    if (spec.type != 0 && std::string_view("eEfFgGn%").find(spec.type) == std::string_view::npos)
      refuse(spec.type, "float");
    const double number = to_float(value);
    negative = std::signbit(number);
    digits = float_with_spec(std::fabs(number), spec);
  } else {
    if (spec.type != 0 && std::string_view("bcdoxXn").find(spec.type) == std::string_view::npos)
      refuse(spec.type, "int");
    if (spec.precision >= 0) throw Fault("Precision not allowed in integer format specifier");
    if (spec.type == 'c') return padded(*character_of(value), spec, '<');
    negative = value.as_integer().is_negative();
    digits = integer_with_spec(value.as_integer(), spec);
  }
  const std::string sign = negative ? "-" : spec.sign == '-' ? "" : std::string(1, spec.sign);
  return padded(*make_text(sign + digits), spec, '>');
}

}  // namespace

TextRef character_of(const Value& value) {
  const std::int64_t c = value.is_integral() ? value.as_integer().clamped() : -1;
  if (c < 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) throw Fault("%c requires int or char");
  std::string text;
  append_character(text, static_cast<char32_t>(c));
  return make_text(text);
}

std::int64_t checked_width(const Integer& width) {
  const std::int64_t value = width.clamped();
  if (value > kMaxWidth)
    throw Fault(fmt::format("expected a width of at most {}, got {}", kMaxWidth, value));
  return value;
}

FormatSpec parse_spec(std::string_view spec) {
  FormatSpec result;
  std::size_t at = 0;
  const auto peek = [&] { return at < spec.size() ? spec[at] : '\0'; };
  const auto number = [&]() -> std::int64_t {
    const std::size_t begin = at;
    while (peek() >= '0' && peek() <= '9') ++at;
    return checked_width(
        *Integer::of_digits(spec.substr(begin, std::min<std::size_t>(at - begin, 40)), 10));
  };
  if (!spec.empty()) {
    std::size_t second = 0;
    const char32_t fill = next_code_point(spec, second);
    if (second < spec.size() && is_align(static_cast<unsigned char>(spec[second]))) {
      result.fill = fill;
      result.align = spec[second];
      at = second + 1;
    } else if (is_align(fill)) {
      result.align = spec[0];
      at = 1;
    }
  }
  if (peek() == '+' || peek() == '-' || peek() == ' ') result.sign = spec[at++];
  if (peek() == '#') {
    result.alternate = true;
    ++at;
  }
  if (peek() == '0') {
    if (result.align == 0) {
      result.fill = '0';
      result.align = '=';
    }
    ++at;
  }
  if (peek() >= '0' && peek() <= '9') result.width = number();
  if (peek() == ',' || peek() == '_') result.grouping = spec[at++];
  if (peek() == '.') {
    ++at;
    if (peek() < '0' || peek() > '9') throw Fault("Format specifier missing precision");
    result.precision = number();
  }
  if (at < spec.size()) result.type = spec[at++];
  if (at < spec.size()) throw Fault(fmt::format("Invalid format specifier '{}'", spec));
  return result;
}

std::string float_digits(double magnitude, char type, std::int64_t precision, bool alternate) {
  if (!std::isfinite(magnitude)) {
    const std::string word = std::isnan(magnitude) ? "nan" : "inf";
    return type == 'E' || type == 'F' || type == 'G' ? (word == "nan" ? "NAN" : "INF") : word;
  }
  checked_width(Integer(precision));
  expect_room(static_cast<std::size_t>(precision));
  count_steps(static_cast<std::uint64_t>(precision) / 16);
  const std::string format = std::string(alternate ? "%#.*" : "%.*") + type;
  const int digits = static_cast<int>(precision);
  std::string text(static_cast<std::size_t>(digits) + 340, '\0');
  // The format is built from a checked conversion character.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  const int size = std::snprintf(text.data(), text.size(), format.c_str(), digits, magnitude);
#pragma GCC diagnostic pop
  text.resize(static_cast<std::size_t>(size));
  return text;
}

TextRef padded(const Text& text, const FormatSpec& spec, char default_align) {
  if (text.length() >= spec.width)
    return std::make_shared<const Text>(text.bytes(), text.input(), text.is_markup());
  const auto missing = static_cast<std::size_t>(spec.width - text.length());
  std::string fill;
  append_character(fill, spec.fill);
  const TextRef unit = make_text(fill);
  const auto pad = [&](std::size_t count) {
    std::string all;
    expect_room(count * fill.size());
    for (std::size_t i = 0; i < count; ++i) all += fill;
    return all;
  };
  const char align = spec.align ? spec.align : default_align;
  std::size_t left = missing, prefix = 0;
  if (align == '<') left = 0;
  if (align == '^') left = missing / 2;
  if (align == '=') {
    const std::string_view bytes = text.view();
    if (!bytes.empty() && (bytes[0] == '-' || bytes[0] == '+' || bytes[0] == ' ')) prefix = 1;
    if (bytes.size() > prefix + 1 && bytes[prefix] == '0' &&
        std::string_view("xXobB").find(bytes[prefix + 1]) != std::string_view::npos)
      prefix += 2;
  }
  TextBuilder result;
  result.add(text, 0, prefix).add(pad(left)).add(text, prefix, text.bytes().size());
  return result.add(pad(missing - left)).finish(text.is_markup());
}

TextRef format_value(const Value& value, std::string_view spec_text) {
  if (spec_text.empty()) return text_of(value);
  if (!value.is(Kind::text) && !value.is_numeric())
    throw Fault(fmt::format("unsupported format string passed to {}.__format__", type_name(value)));
  const FormatSpec spec = parse_spec(spec_text);
  if (value.is_numeric()) return format_number(value, spec);
  if (spec.type != 0 && spec.type != 's') refuse(spec.type, "str");
  if (spec.grouping) throw Fault(fmt::format("Cannot specify '{}' with 's'.", spec.grouping));
  if (spec.sign != '-') throw Fault("Sign not allowed in string format specifier");
  if (spec.align == '=' && spec.fill != '0')
    throw Fault("'=' alignment not allowed in string format specifier");
  FormatSpec plain = spec;
  if (plain.align == '=') plain.align = '<';
  TextRef text = value.text_ref();
  if (spec.precision >= 0 && spec.precision < text->length())
    text = part_of(*text, 0, text->byte_of(spec.precision));
  return padded(*text, plain, '<');
}

}  // namespace bitaxon::jinja
