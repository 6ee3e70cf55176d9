#include "console.h"

#include <chrono>
#include <utility>

#include "platform/standard_streams.h"
#include "platform/terminal.h"

namespace bitaxon::tool {
namespace {

/// Text that was printed and is not written yet. stdio's buffer is not used, because stdio loses
/// text after an interrupted write, and when a stream that does not block is full.
std::string unwritten;

/// The text of the PrintCapture that lives, or null.
std::string* captured = nullptr;

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

void print(std::string_view text) {
  constexpr std::size_t kEnough = std::size_t{1} << 16;
  if (captured != nullptr) {
    captured->append(text);
    return;
  }
  unwritten += text;
  if (unwritten.size() >= kEnough) flush();
}

void flush() {
  if (captured == nullptr) write_standard_output(std::exchange(unwritten, {}));
}

PrintCapture::PrintCapture() { captured = &text_; }

PrintCapture::~PrintCapture() { captured = nullptr; }

void note(std::string_view line) { write_standard_error(fmt::format("bit-axon: {}\n", line)); }

void note_dim(std::string_view line) {
  const bool colour = wants_colour(Stream::standard_error);
  write_standard_error(colour ? fmt::format("\x1b[2m{}\x1b[0m\n", line)
                              : fmt::format("{}\n", line));
}

ProgressLine::ProgressLine(std::string_view what, bool wanted)
    : what_(what),
      wanted_(wanted && is_terminal(Stream::standard_error)),
      started_seconds_(now_seconds()) {}

ProgressLine::~ProgressLine() { clear(); }

void ProgressLine::clear() {
  if (shown_) write_standard_error("\r\x1b[K");
  shown_ = false;
  percent_ = -1;
}

void ProgressLine::update(std::uint64_t done, std::uint64_t total) {
  // Short work needs no progress line.
  constexpr double kPatienceSeconds = 0.3;
  if (!wanted_ || total == 0 || now_seconds() - started_seconds_ < kPatienceSeconds) return;
  const int percent =
      static_cast<int>(static_cast<double>(done) / static_cast<double>(total) * 100);
  if (percent == percent_) return;
  percent_ = percent;
  shown_ = true;
  write_standard_error(fmt::format("\r\x1b[K{}: {} %", what_, percent));
}

std::string count_text(double count) {
  if (count >= 1e9) return fmt::format("{:.2f} B", count / 1e9);
  if (count >= 1e6) return fmt::format("{:.2f} M", count / 1e6);
  if (count >= 1e3) return fmt::format("{:.1f} K", count / 1e3);
  return fmt::format("{:.0f}", count);
}

}  // namespace bitaxon::tool
