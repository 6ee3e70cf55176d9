#include "platform/utf8.h"

#include <fmt/format.h>

namespace bitaxon {

namespace {

unsigned char byte_at(std::string_view bytes, std::size_t i) {
  return static_cast<unsigned char>(bytes[i]);
}

// The bytes that may follow the first byte of a character: their number, or -1 if the byte cannot
// be first, and the range of the second byte. The range excludes overlong forms, surrogates and
// values above U+10FFFF.
struct Lead {
  int more;
  unsigned char second_low, second_high;
};

Lead lead_of(unsigned char byte) {
  if (byte < 0x80) return {0, 0, 0};
  if (byte < 0xC2) return {-1, 0, 0};
  if (byte < 0xE0) return {1, 0x80, 0xBF};
  if (byte == 0xE0) return {2, 0xA0, 0xBF};
  if (byte == 0xED) return {2, 0x80, 0x9F};
  if (byte < 0xF0) return {2, 0x80, 0xBF};
  if (byte == 0xF0) return {3, 0x90, 0xBF};
  if (byte < 0xF4) return {3, 0x80, 0xBF};
  if (byte == 0xF4) return {3, 0x80, 0x8F};
  return {-1, 0, 0};
}

}  // namespace

Utf8Unit first_unit(std::string_view bytes) {
  const Lead lead = lead_of(byte_at(bytes, 0));
  if (lead.more < 0) return {Utf8Unit::Kind::broken, 1};
  const std::size_t length = static_cast<std::size_t>(lead.more) + 1;
  for (std::size_t i = 1; i < length; ++i) {
    if (i == bytes.size()) return {Utf8Unit::Kind::cut, i};
    const unsigned char low = i == 1 ? lead.second_low : 0x80;
    const unsigned char high = i == 1 ? lead.second_high : 0xBF;
    const unsigned char byte = byte_at(bytes, i);
    if (byte < low || byte > high) return {Utf8Unit::Kind::broken, i};
  }
  return {Utf8Unit::Kind::character, length};
}

Character first_character(std::string_view text) {
  const unsigned char first = byte_at(text, 0);
  const int more = lead_of(first).more;
  if (more <= 0) return {first, 1};
  auto code = static_cast<char32_t>(first & (0x3F >> more));
  const auto length = static_cast<std::size_t>(more) + 1;
  for (std::size_t i = 1; i < length; ++i) code = code << 6 | (byte_at(text, i) & 0x3FU);
  return {code, length};
}

Character last_character(std::string_view text) {
  std::size_t start = text.size() - 1;
  while (start > 0 && (byte_at(text, start) & 0xC0) == 0x80) --start;
  return first_character(text.substr(start));
}

void append_character(std::string& out, char32_t code) {
  const auto add = [&](char32_t byte) { out += static_cast<char>(byte); };
  if (code < 0x80) return add(code);
  const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  add((0xF00 >> (more + 1) & 0xFF) | code >> (6 * more));
  for (int i = more; i-- > 0;) add(0x80 | (code >> (6 * i) & 0x3F));
}

std::size_t valid_prefix(std::string_view bytes) {
  std::size_t at = 0;
  while (at < bytes.size()) {
    const Utf8Unit unit = first_unit(bytes.substr(at));
    if (unit.kind != Utf8Unit::Kind::character) break;
    at += unit.length;
  }
  return at;
}

std::string to_valid_utf8(std::string_view bytes) {
  std::string held(bytes);
  std::string text = take_complete(held);
  if (!held.empty()) text += kReplacement;
  return text;
}

std::string take_complete(std::string& held) {
  std::string text;
  std::string_view rest = held;
  while (true) {
    const std::size_t valid = valid_prefix(rest);
    text += rest.substr(0, valid);
    rest.remove_prefix(valid);
    if (rest.empty()) break;
    const Utf8Unit unit = first_unit(rest);
    if (unit.kind == Utf8Unit::Kind::cut) break;
    text += kReplacement;
    rest.remove_prefix(unit.length);
  }
  held.erase(0, held.size() - rest.size());
  return text;
}

std::string in_quotes(std::string_view text) {
  constexpr std::size_t kMaxBytes = 60;
  const bool cut = text.size() > kMaxBytes;
  std::string out = "\"";
  for (const char c : to_valid_utf8(text.substr(0, kMaxBytes))) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out + (cut ? "\"..." : "\"");
}

}  // namespace bitaxon
