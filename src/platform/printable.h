// Makes untrusted text and numbers fit for a message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace bitaxon {

/// `text` on one line. Control characters, line separators and changes of writing direction become
/// escapes like \u{1b}. Bytes that are not UTF-8 become escapes like \xff. Text beyond `max_bytes`
/// is cut ("..."). Unescaped, the name of a tensor could forge lines of output or control the
/// user's terminal.
std::string printable(std::string_view text, std::size_t max_bytes = 120);

/// A path: like printable(), but not cut in practice, because the system limits its length.
inline std::string printable_path(std::string_view path) {
  return printable(path, std::size_t{1} << 16);
}

/// The size with a unit: "1.50 GiB".
std::string bytes_text(std::uint64_t bytes);

}  // namespace bitaxon
