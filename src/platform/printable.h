// Text from strangers and numbers, made fit for a message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace bitaxon {

/// `text` on one line: control characters, line separators and changes of writing direction become
/// \u{1b}, bytes that are not UTF-8 become \xff, and what goes beyond `max_bytes` is cut ("...").
/// Without this a tensor's name could forge lines of output or drive the user's terminal.
std::string printable(std::string_view text, std::size_t max_bytes = 120);

/// A path: as printable, but never cut (the system bounds it).
inline std::string printable_path(std::string_view path) {
  return printable(path, std::size_t{1} << 16);
}

/// "1.50 GiB"
std::string bytes_text(std::uint64_t bytes);

}  // namespace bitaxon
