// Makes untrusted text safe to print, and writes numbers as text for messages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace bitaxon {

/// `text` on one line. Control characters, line separators and changes of writing direction become
/// escapes like \u{1b}. Bytes that are not UTF-8 become escapes like \xff. Text beyond `max_bytes`
/// is cut ("..."). Without escapes, the name of a tensor could forge lines of output or control the
/// user's terminal.
std::string printable(std::string_view text, std::size_t max_bytes = 120);

/// A path on one line, with the escapes of printable(). Paths are not cut in practice, because the
/// system limits their length.
inline std::string printable_path(std::string_view path) {
  return printable(path, std::size_t{1} << 16);
}

/// A size in bytes as text with a unit, such as "1.50 GiB".
std::string bytes_text(std::uint64_t bytes);

}  // namespace bitaxon
