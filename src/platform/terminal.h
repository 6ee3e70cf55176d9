// Terminals: whether a stream is a terminal, whether it wants color, and lines typed by the user.
#pragma once

#include <atomic>
#include <string>

namespace bitaxon {

enum class Stream { standard_input = 0, standard_output = 1, standard_error = 2 };

bool is_terminal(Stream stream);
/// Whether the stream is a terminal, NO_COLOR is unset or empty (https://no-color.org), and TERM is
/// set and not "dumb".
bool wants_colour(Stream stream);

/// Lines of standard input. An interrupt ends the wait for a line.
class InputLines {
 public:
  enum class Outcome { line, end, interrupted };
  /// Reads the next line, without its line ending. `interrupted` is the flag of catch_interrupts().
  /// Throws Error(io) when standard input cannot be read.
  Outcome next(std::string& line, const std::atomic<bool>& interrupted);

 private:
  std::string pending_;
};

}  // namespace bitaxon
