// Terminals: whether a stream is one, and whether it wants colour.
#pragma once

#include <atomic>
#include <string>

namespace bitaxon {

enum class Stream { standard_input = 0, standard_output = 1, standard_error = 2 };

bool is_terminal(Stream stream);
/// A terminal, NO_COLOR is unset or empty (https://no-color.org), and TERM is not "dumb".
bool wants_colour(Stream stream);

/// Lines of standard input, read so that an interruption ends the waiting.
class InputLines {
 public:
  enum class Outcome { line, end, interrupted };
  /// The next line without its end; `interrupted` is the flag of catch_interrupts(). Throws
  /// Error(io) when standard input cannot be read.
  Outcome next(std::string& line, const std::atomic<bool>& interrupted);

 private:
  std::string pending_;
};

}  // namespace bitaxon
