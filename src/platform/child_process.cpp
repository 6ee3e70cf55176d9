#include "platform/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "bitaxon/error.h"
#include "platform/environment.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t kMostOut = std::size_t{1} << 20;
constexpr std::size_t kMostErr = 4096;
/// How long to wait for a killed process to end. A process that waits for a device may never end.
constexpr milliseconds kTimeToDie{2000};
constexpr milliseconds kBetweenLooks{2};

[[noreturn]] void throw_io(const char* what, int error) {
  throw Error(ErrorKind::io, fmt::format("{}: {}", what, std::strerror(error)));
}

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd = -1) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~FileDescriptor() { close(); }
  int get() const { return fd_; }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_;
};

struct Pipe {
  FileDescriptor read_end, write_end;

  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw_io("pipe", errno);
    read_end = above_standard(FileDescriptor(ends[0]));
    write_end = above_standard(FileDescriptor(ends[1]));
    ::fcntl(read_end.get(), F_SETFL, O_NONBLOCK);
  }

 private:
  /// Moves a pipe to a descriptor above 2 if it has the descriptor of stdin, stdout or stderr. This
  /// happens if this process has closed that stream.
  static FileDescriptor above_standard(FileDescriptor fd) {
    if (fd.get() > 2) return fd;
    FileDescriptor moved(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
    if (moved.get() < 0) throw_io("pipe", errno);
    return moved;
  }
};

class SpawnOptions {
 public:
  SpawnOptions(const Pipe& out, const Pipe& err) {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawnattr_init(&attributes_);
    ::posix_spawn_file_actions_addopen(&actions_, 0, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&actions_, out.write_end.get(), 1);
    ::posix_spawn_file_actions_adddup2(&actions_, err.write_end.get(), 2);
    sigset_t none, all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setsigdefault(&attributes_, &all);
    ::posix_spawnattr_setpgroup(&attributes_, 0);
    ::posix_spawnattr_setflags(
        &attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  }
  SpawnOptions(const SpawnOptions&) = delete;
  SpawnOptions& operator=(const SpawnOptions&) = delete;
  ~SpawnOptions() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  const posix_spawn_file_actions_t* actions() const { return &actions_; }
  const posix_spawnattr_t* attributes() const { return &attributes_; }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

/// Appends the available bytes to `text`, and closes the pipe at its end. Returns whether there
/// were any bytes.
bool read_some(FileDescriptor& from, std::string& text) {
  std::array<char, 4096> buffer;
  bool some = false;
  while (from.get() >= 0) {
    const ssize_t got = ::read(from.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) break;
    if (got <= 0) {
      from.close();
      break;
    }
    text.append(buffer.data(), static_cast<std::size_t>(got));
    some = true;
    if (text.size() > kMostOut) break;
  }
  return some;
}

/// Whether the process has ended. If it has, fills in `end`.
bool has_ended(pid_t pid, ChildEnd& end) {
  int status = 0;
  const pid_t got = ::waitpid(pid, &status, WNOHANG);
  if (got == 0 || (got < 0 && errno == EINTR)) return false;
  if (got == pid && WIFEXITED(status)) end.exit_status = WEXITSTATUS(status);
  if (got == pid && WIFSIGNALED(status)) end.signal = WTERMSIG(status);
  return true;
}

void kill_group(pid_t pid, ChildEnd& end) {
  ::kill(-pid, SIGKILL);
  ::kill(pid, SIGKILL);
  const auto until = Clock::now() + kTimeToDie;
  while (!has_ended(pid, end) && Clock::now() < until) ::poll(nullptr, 0, kBetweenLooks.count());
  end.signal = 0;
  end.was_silent = true;
}

/// Reads the output of the process until the process has ended.
void follow(pid_t pid, FileDescriptor out, FileDescriptor err, milliseconds patience,
            ChildEnd& end) {
  auto until = Clock::now() + patience;
  for (bool ended = false; !ended;) {
    // The process may close its stdout and keep running, so poll() has a short timeout, and the
    // process is checked after each poll.
    std::array<pollfd, 2> fds = {pollfd{out.get(), POLLIN, 0}, pollfd{err.get(), POLLIN, 0}};
    ::poll(fds.data(), fds.size(), out.get() < 0 ? kBetweenLooks.count() : 100);
    ended = has_ended(pid, end);
    if (read_some(out, end.out) && end.out.size() <= kMostOut) until = Clock::now() + patience;
    read_some(err, end.err);
    if (end.err.size() > kMostErr) end.err.erase(0, end.err.size() - kMostErr);
    if (!ended && Clock::now() >= until) {
      kill_group(pid, end);
      return;
    }
  }
}

}  // namespace

ChildEnd run_child(const std::filesystem::path& program, std::vector<std::string> arguments,
                   std::vector<std::string> environment, milliseconds patience) {
  arguments.insert(arguments.begin(), program.string());
  const std::vector<char*> argv = null_terminated(arguments);
  const std::vector<char*> envp = null_terminated(environment);
  Pipe out, err;
  pid_t pid = -1;
  {
    const SpawnOptions options(out, err);
    const int error = ::posix_spawn(&pid, program.c_str(), options.actions(), options.attributes(),
                                    argv.data(), envp.data());
    if (error != 0)
      throw Error(ErrorKind::io,
                  fmt::format("{}: cannot be started: {}", printable_path(program.string()),
                              std::strerror(error)));
  }
  out.write_end.close();
  err.write_end.close();
  ChildEnd end;
  follow(pid, std::move(out.read_end), std::move(err.read_end), patience, end);
  return end;
}

}  // namespace bitaxon
