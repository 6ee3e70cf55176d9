// UTF-8: repairs invalid bytes, and holds back a character that is still incomplete.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace bitaxon {

inline constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

/// The first unit of a sequence of bytes. It has one of three kinds:
///   character  a valid character
///   broken     the longest start of a character before a byte that cannot continue it ("maximal
///              subpart", Unicode 15 section 3.9, table 3-7)
///   cut        the start of a character that is incomplete because the bytes end
struct Utf8Unit {
  enum class Kind { character, broken, cut };
  Kind kind;
  std::size_t length;  ///< bytes, at least 1
};

/// The first unit of `bytes`, which must not be empty.
Utf8Unit first_unit(std::string_view bytes);

struct Character {
  char32_t code;
  std::size_t length;  ///< bytes in UTF-8
};

/// The first character of `text`, which must be valid UTF-8 and not empty.
Character first_character(std::string_view text);
/// The last character of `text`, which must be valid UTF-8 and not empty.
Character last_character(std::string_view text);
/// Appends a character in UTF-8.
void append_character(std::string& out, char32_t code);

/// The number of bytes at the front of `bytes` that are valid UTF-8.
std::size_t valid_prefix(std::string_view bytes);

/// `bytes` with U+FFFD for each broken or cut unit, as Rust's String::from_utf8_lossy does.
std::string to_valid_utf8(std::string_view bytes);

/// Removes from `held` the bytes that later bytes cannot change, and returns them as valid UTF-8. A
/// cut character stays in `held`.
std::string take_complete(std::string& held);

/// `text` in quotes for a one-line message. Control characters are escaped, and a long text is cut.
std::string in_quotes(std::string_view text);

}  // namespace bitaxon
