// The output of the program: results on stdout, everything else on stderr.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <string_view>

namespace bitaxon::tool {

/// Thrown for an invalid command line. The program then exits with status 2.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

enum ExitStatus : int { kDone = 0, kFailed = 1, kUsage = 2, kInterrupted = 130 };

/// Writes text to stdout, at the latest when flush() is called. Throws Error(io) when stdout cannot
/// be written, for example a full disk or a closed pipe.
void print(std::string_view text);
/// Writes everything that was printed so far. Throws as print does.
void flush();

/// While this object lives, print() collects its text here and flush() writes nothing. It is for a
/// command that runs as a part of another one. Only one object may live at a time.
class PrintCapture {
 public:
  PrintCapture();
  PrintCapture(const PrintCapture&) = delete;
  PrintCapture& operator=(const PrintCapture&) = delete;
  ~PrintCapture();
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

/// Writes one line to stderr, after "bit-axon: ".
void note(std::string_view line);
/// Writes one line to stderr without the prefix. The line is dimmed on a terminal with colors.
void note_dim(std::string_view line);

/// A progress line on stderr that is rewritten in place. It appears only on a terminal, and only
/// when the work takes a noticeable time.
class ProgressLine {
 public:
  explicit ProgressLine(std::string_view what, bool wanted);
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  ~ProgressLine();
  void update(std::uint64_t done, std::uint64_t total);
  /// Removes the line, so that another line can be written. The next update shows it again.
  void clear();

 private:
  std::string what_;
  bool wanted_;
  bool shown_ = false;
  int percent_ = -1;
  double started_seconds_;
};

/// The count as short text, such as "5.77 B", "2.20 M" or "512".
std::string count_text(double count);

}  // namespace bitaxon::tool
