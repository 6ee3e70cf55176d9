// What the program says: results on stdout, all else on stderr.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <string_view>

namespace bitaxon::tool {

/// The command line asks for something that cannot be meant: exit status 2.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

enum ExitStatus : int { kDone = 0, kFailed = 1, kUsage = 2, kInterrupted = 130 };

/// Writes to stdout, at the latest with flush(). Throws Error(io) when it cannot (a full disk, a
/// closed pipe).
void print(std::string_view text);
/// Makes sure that everything printed has arrived. Throws as print does.
void flush();

/// One line on stderr, "bit-axon: " in front.
void note(std::string_view line);
/// As note, without the prefix, dimmed on a terminal with colours.
void note_dim(std::string_view line);

/// A line on stderr that is rewritten in place; only on a terminal, and only when there is
/// something to wait for.
class ProgressLine {
 public:
  explicit ProgressLine(std::string_view what, bool wanted);
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  ~ProgressLine();
  void update(std::uint64_t done, std::uint64_t total);
  /// Makes room for another line; the next update shows this one again.
  void clear();

 private:
  std::string what_;
  bool wanted_;
  bool shown_ = false;
  int percent_ = -1;
  double started_seconds_;
};

/// "5.77 B", "2.2 M"
std::string count_text(double count);

}  // namespace bitaxon::tool
