#include "platform/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

#include "bitaxon/error.h"

extern char** environ;

namespace bitaxon {
namespace {

[[noreturn]] void refuse(const std::string& program, int code) {
  throw Error(code == ENOENT ? ErrorKind::unsupported : ErrorKind::io,
              fmt::format("{}: cannot be run: {}", program, std::generic_category().message(code)));
}

class Pipe {
 public:
  explicit Pipe(const std::string& program) {
    if (::pipe2(ends_.data(), O_CLOEXEC) != 0) refuse(program, errno);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    close_write_end();
    ::close(ends_[0]);
  }

  int write_end() const { return ends_[1]; }
  void close_write_end() {
    if (ends_[1] >= 0) ::close(ends_[1]);
    ends_[1] = -1;
  }
  /// Until every write end is closed.
  std::string read_all() const {
    std::string all;
    std::array<char, 65536> block;
    for (;;) {
      const ssize_t n = ::read(ends_[0], block.data(), block.size());
      if (n > 0) all.append(block.data(), static_cast<std::size_t>(n));
      if (n == 0 || (n < 0 && errno != EINTR)) return all;
    }
  }

 private:
  std::array<int, 2> ends_{-1, -1};
};

/// stdout and stderr go into `output`, stdin is empty.
pid_t spawn(const std::vector<std::string>& arguments, int output) {
  std::vector<char*> pointers;
  for (const std::string& argument : arguments)
    pointers.push_back(const_cast<char*>(argument.c_str()));  // not written to, says POSIX
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  if (const int code = ::posix_spawn_file_actions_init(&actions); code != 0)
    refuse(arguments[0], code);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
  pid_t pid = 0;
  const int code = ::posix_spawnp(&pid, pointers[0], &actions, nullptr, pointers.data(), ::environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (code != 0) refuse(arguments[0], code);
  return pid;
}

}  // namespace

ProcessResult run_process(const std::vector<std::string>& arguments) {
  Pipe pipe(arguments[0]);
  const pid_t pid = spawn(arguments, pipe.write_end());
  pipe.close_write_end();
  ProcessResult result;
  result.output = pipe.read_all();
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) refuse(arguments[0], errno);
  if (WIFSIGNALED(status))
    result.signal = WTERMSIG(status);
  else
    result.exit_status = WEXITSTATUS(status);
  return result;
}

}  // namespace bitaxon
