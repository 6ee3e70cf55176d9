#include "platform/terminal.h"

#include <unistd.h>

#include <array>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <utility>

#include "platform/standard_streams.h"

namespace bitaxon {

bool is_terminal(Stream stream) { return ::isatty(static_cast<int>(stream)) == 1; }

bool wants_colour(Stream stream) {
  const char* no_colour = std::getenv("NO_COLOR");
  if (no_colour != nullptr && *no_colour != '\0') return false;
  const char* term = std::getenv("TERM");
  return is_terminal(stream) && term != nullptr && std::string_view(term) != "dumb";
}

InputLines::Outcome InputLines::next(std::string& line, const std::atomic<bool>& interrupted) {
  for (;;) {
    const std::size_t newline = pending_.find('\n');
    if (newline != std::string::npos) {
      line = pending_.substr(0, newline);
      pending_.erase(0, newline + 1);
      if (!line.empty() && line.back() == '\r') line.pop_back();
      return Outcome::line;
    }
    // Waits several times for a short time. One long wait would not end for a signal that another
    // thread gets, or that comes just before the wait begins.
    constexpr int kTurnMs = 100;
    while (!interrupted && !wait_for_standard_input(kTurnMs)) continue;
    if (interrupted) return Outcome::interrupted;
    std::array<char, 4096> buffer;
    const std::optional<std::size_t> got = read_available_input(buffer);
    if (!got) continue;
    if (*got > 0) {
      pending_.append(buffer.data(), *got);
      continue;
    }
    if (pending_.empty()) return Outcome::end;
    line = std::exchange(pending_, {});  // a last line without a newline
    return Outcome::line;
  }
}

}  // namespace bitaxon
