#include "platform/terminal.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string_view>
#include <utility>

namespace bitaxon {

bool is_terminal(Stream stream) { return ::isatty(static_cast<int>(stream)) == 1; }

bool wants_colour(Stream stream) {
  const char* no_colour = std::getenv("NO_COLOR");
  if (no_colour != nullptr && *no_colour != '\0') return false;
  const char* term = std::getenv("TERM");
  return is_terminal(stream) && term != nullptr && std::string_view(term) != "dumb";
}

namespace {

/// Waits until standard input can be read or the flag is set. In short turns: a signal may be
/// delivered to another thread, or just before the waiting begins, and would not end a long one.
void wait_for_input(const std::atomic<bool>& interrupted) {
  constexpr int kTurnMs = 100;
  struct pollfd input {};
  input.fd = STDIN_FILENO;
  input.events = POLLIN;
  while (!interrupted && ::poll(&input, 1, kTurnMs) == 0) continue;
}

}  // namespace

InputLines::Outcome InputLines::next(std::string& line, const std::atomic<bool>& interrupted) {
  for (;;) {
    const std::size_t newline = pending_.find('\n');
    if (newline != std::string::npos) {
      line = pending_.substr(0, newline);
      pending_.erase(0, newline + 1);
      if (!line.empty() && line.back() == '\r') line.pop_back();
      return Outcome::line;
    }
    wait_for_input(interrupted);
    if (interrupted) return Outcome::interrupted;
    char buffer[4096];
    const ssize_t got = ::read(STDIN_FILENO, buffer, sizeof(buffer));
    if (got > 0) {
      pending_.append(buffer, static_cast<std::size_t>(got));
      continue;
    }
    if (got < 0 && errno == EINTR) continue;
    if (pending_.empty()) return Outcome::end;
    line = std::exchange(pending_, {});  // a last line without a newline
    return Outcome::line;
  }
}

}  // namespace bitaxon
