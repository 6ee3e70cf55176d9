// UTF-8: reading bytes that may not be, and holding back a character that is not whole yet.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace bitaxon {

inline constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

/// The first unit of some bytes: a character, or the longest start of one that what follows breaks
/// ("maximal subpart", Unicode 15 section 3.9, table 3-7), or a start that the end cuts off.
struct Utf8Unit {
  enum class Kind { character, broken, cut };
  Kind kind;
  std::size_t length;  ///< bytes, at least 1
};

/// `bytes` must not be empty.
Utf8Unit first_unit(std::string_view bytes);

/// Bytes at the front of `bytes` that are valid UTF-8.
std::size_t valid_prefix(std::string_view bytes);

/// `bytes` with U+FFFD for each broken or cut unit, as Rust's String::from_utf8_lossy does it.
std::string to_valid_utf8(std::string_view bytes);

/// Takes from `held` what later bytes can no longer change, as valid UTF-8. A cut character stays.
std::string take_complete(std::string& held);

/// `text` in quotes for a message of one line: control characters escaped, what is too long cut.
std::string in_quotes(std::string_view text);

}  // namespace bitaxon
