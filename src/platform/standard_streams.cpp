#include "platform/standard_streams.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "bitaxon/error.h"

namespace bitaxon {
namespace {

constexpr int kForever = -1;

[[noreturn]] void throw_errno(const char* what) {
  throw Error(ErrorKind::io, fmt::format("{}: {}", what, std::strerror(errno)));
}

/// Whether a failed call may succeed later, because a signal interrupted it or because the stream
/// is non-blocking.
bool is_worth_repeating() { return errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK; }

/// Waits until a stream is ready or broken. Returns 0 after the timeout, and -1 with errno set on
/// failure.
int wait_until_ready(int fd, short events, int timeout_ms) {
  pollfd stream{fd, events, 0};
  return ::poll(&stream, 1, timeout_ms);
}

/// Writes the whole text. Returns false, with errno set, when the system refuses.
bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t put = ::write(fd, text.data(), text.size());
    if (put >= 0) {
      text.remove_prefix(static_cast<std::size_t>(put));
      continue;
    }
    if (!is_worth_repeating()) return false;
    const bool is_full = errno != EINTR;
    if (is_full && wait_until_ready(fd, POLLOUT, kForever) < 0 && errno != EINTR) return false;
  }
  return true;
}

}  // namespace

void keep_standard_descriptors() noexcept {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) != -1 || errno != EBADF) continue;
    // open() returns the lowest free descriptor, which is `fd`. The file is opened in the wrong
    // direction, so that reads or writes fail as on a closed stream.
    if (::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd) return;
  }
}

std::string read_standard_input(std::uint64_t max_bytes) {
  std::string text;
  std::array<char, std::size_t{1} << 16> buffer;
  for (;;) {
    const std::optional<std::size_t> got = read_available_input(buffer);
    if (!got) {
      wait_for_standard_input(kForever);
      continue;
    }
    if (*got == 0) return text;
    if (text.size() + *got > max_bytes)
      throw Error(ErrorKind::io,
                  fmt::format("stdin: expected at most {} bytes, got more", max_bytes));
    text.append(buffer.data(), *got);
  }
}

bool wait_for_standard_input(int timeout_ms) {
  const int n_ready = wait_until_ready(STDIN_FILENO, POLLIN, timeout_ms);
  if (n_ready < 0 && errno != EINTR) throw_errno("stdin: cannot wait for input");
  return n_ready > 0;
}

std::optional<std::size_t> read_available_input(std::span<char> out) {
  const ssize_t got = ::read(STDIN_FILENO, out.data(), out.size());
  if (got >= 0) return static_cast<std::size_t>(got);
  if (is_worth_repeating()) return std::nullopt;
  throw_errno("stdin: cannot read");
}

void write_standard_output(std::string_view text) {
  if (!write_all(STDOUT_FILENO, text)) throw_errno("stdout: cannot write");
}

void write_standard_error(std::string_view text) noexcept { write_all(STDERR_FILENO, text); }

}  // namespace bitaxon
