#include "program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>

#include "platform/paths.h"
#include "support/json_schema.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

/// A process that runs for longer counts as hanging. The time is far longer than any run in these
/// tests takes, even with sanitizers on a busy machine.
constexpr std::int64_t kGuardMs = 120'000;

std::int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// The path of the program under test: $BITAXON_TEST_PROGRAM if set, otherwise the program that was
/// built with these tests.
const std::string& tested_program() {
  static const std::string path =
      environment_path("BITAXON_TEST_PROGRAM")
          .value_or(executable_path().parent_path() / BX_PROGRAM_FROM_TESTS)
          .lexically_normal();
  return path;
}

void close_fd(int& fd) {
  if (fd >= 0) ::close(fd);
  fd = -1;
}

/// Opens a terminal that does not echo. The test uses the end `master`, the program uses the end
/// `terminal`. Throws if no terminal can be opened.
void open_terminal(int& master, int& terminal) {
  close_fd(master);
  close_fd(terminal);
  master = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (master < 0 || ::grantpt(master) != 0 || ::unlockpt(master) != 0)
    throw std::runtime_error("no terminal can be made");
  terminal = ::open(::ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
  termios settings{};
  if (terminal < 0 || ::tcgetattr(terminal, &settings) != 0)
    throw std::runtime_error("the terminal cannot be opened");
  settings.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  ::tcsetattr(terminal, TCSANOW, &settings);
}

struct Pipe {
  int read_end = -1, write_end = -1;
  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe2 failed");
    read_end = ends[0];
    write_end = ends[1];
  }
};

std::vector<std::string> environment_of(const Surroundings& surroundings) {
  std::map<std::string, std::string> all = {{"HOME", home().string()},
                                            {"HF_HOME", (home() / "hf").string()},
                                            {"LC_ALL", "C"},
                                            {"TERM", "xterm"}};
  // These variables keep the values that they have in the test process. They configure sanitizers
  // and drivers.
  for (const char* name :
       {"PATH", "TMPDIR", "LD_LIBRARY_PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS",
        "TSAN_OPTIONS", "ASAN_SYMBOLIZER_PATH", "MESA_SHADER_CACHE_DIR"})
    if (const char* value = std::getenv(name)) all[name] = value;
  for (const auto& [name, value] : surroundings.environment) all[name] = value;
  std::vector<std::string> lines;
  for (const auto& [name, value] : all) lines.push_back(name + "=" + value);
  return lines;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (std::string& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

/// Fills a pipe, so that the next write to it blocks.
void fill(int fd) {
  ::fcntl(fd, F_SETFL, O_NONBLOCK);
  const std::string page(4096, ' ');
  while (::write(fd, page.data(), page.size()) > 0) {
  }
  ::fcntl(fd, F_SETFL, 0);
}

/// Appends the bytes that can be read from `fd` now. Returns false at the end of the stream.
bool drain(int fd, std::string& text) {
  std::array<char, 65536> buffer;
  const ssize_t got = ::read(fd, buffer.data(), buffer.size());
  if (got < 0) return errno == EINTR || errno == EAGAIN;
  text.append(buffer.data(), static_cast<std::size_t>(got));
  return got > 0;
}

}  // namespace

std::string Finished::describe() const {
  return fmt::format("status {}, signal {}{}\nstdout: {}\nstderr: {}", status, signal,
                     timed_out ? ", killed after the guard time" : "", out, err);
}

std::vector<std::string> Finished::err_lines() const {
  std::vector<std::string> lines;
  std::istringstream stream(err);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

Program::Program(const Arguments& arguments, const Surroundings& surroundings)
    : deadline_ms_(now_ms() + kGuardMs) {
  ::signal(SIGPIPE, SIG_IGN);  // a write to the stdin of an ended process must not end the test
  // Reading from `started` ends when execve closes the writing end.
  Pipe in, out, err, started;
  if (surroundings.stdin_is_terminal) open_terminal(in.write_end, in.read_end);
  std::vector<std::string> texts = Arguments{tested_program()} + arguments;
  std::vector<std::string> variables = environment_of(surroundings);
  // The parent allocates everything before fork(), because the child must not allocate.
  const std::vector<char*> argv = pointers(texts);
  const std::vector<char*> envp = pointers(variables);
  const std::string folder = surroundings.folder.string();
  const std::string stdout_file = surroundings.stdout_file.string();
  const std::string stdin_file = surroundings.stdin_file.string();
  if (surroundings.stdout_is_full) fill(out.write_end);
  if (surroundings.stderr_is_full) fill(err.write_end);
  if (surroundings.pipes_do_not_block)
    for (const int fd : {in.read_end, out.write_end, err.write_end})
      ::fcntl(fd, F_SETFL, O_NONBLOCK);
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("fork failed");
  if (pid_ == 0) {
    ::signal(SIGPIPE, SIG_DFL);
    ::signal(SIGINT, SIG_DFL);
    int in_fd = in.read_end;
    if (!stdin_file.empty()) in_fd = ::open(stdin_file.c_str(), O_RDONLY | O_CLOEXEC);
    int out_fd = out.write_end;
    if (!stdout_file.empty()) out_fd = ::open(stdout_file.c_str(), O_WRONLY | O_CLOEXEC);
    if (::dup2(in_fd, 0) < 0 || ::dup2(out_fd, 1) < 0 || ::dup2(err.write_end, 2) < 0) ::_exit(126);
    for (const int fd : surroundings.closed) ::close(fd);
    if (surroundings.most_file_bytes > 0) {
      const rlimit limit{surroundings.most_file_bytes, surroundings.most_file_bytes};
      ::setrlimit(RLIMIT_FSIZE, &limit);
    }
    if (surroundings.root_obeys_permissions && ::geteuid() == 0 &&
        ::prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE) != 0)
      ::_exit(126);
    if (!folder.empty() && ::chdir(folder.c_str()) != 0) ::_exit(126);
    ::execve(argv[0], argv.data(), envp.data());
    ::_exit(127);
  }
  ::close(in.read_end);
  ::close(out.write_end);
  ::close(err.write_end);
  ::close(started.write_end);
  // Before execve, the child still has the signal handlers of the tests, which would swallow a
  // signal. So the constructor waits for execve.
  char none;
  while (::read(started.read_end, &none, 1) < 0 && errno == EINTR) {
  }
  ::close(started.read_end);
  stdin_ = in.write_end;
  stdout_ = out.read_end;
  stderr_ = err.read_end;
  ::fcntl(stdin_, F_SETFL, O_NONBLOCK);
}

Program::~Program() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  close_fd(stdin_);
  close_fd(stdout_);
  close_fd(stderr_);
}

/// Reads from the outputs and writes to stdin, for at most `timeout_ms`. Returns false when both
/// outputs have ended.
bool Program::pump(int timeout_ms) {
  std::array<pollfd, 3> fds = {pollfd{stdout_, POLLIN, 0}, pollfd{stderr_, POLLIN, 0},
                               pollfd{to_write_.empty() ? -1 : stdin_, POLLOUT, 0}};
  ::poll(fds.data(), fds.size(), timeout_ms);
  if (fds[0].revents != 0 && !drain(stdout_, finished_.out)) close_fd(stdout_);
  if (fds[1].revents != 0 && !drain(stderr_, finished_.err)) close_fd(stderr_);
  if (fds[2].revents != 0) {
    const ssize_t put = ::write(stdin_, to_write_.data(), to_write_.size());
    if (put >= 0)
      to_write_.erase(0, static_cast<std::size_t>(put));
    else if (errno != EAGAIN && errno != EINTR)
      to_write_.clear();  // the process no longer reads its stdin
  }
  return stdout_ >= 0 || stderr_ >= 0;
}

void Program::write(const std::string& text) {
  to_write_ += text;
  while (!to_write_.empty() && now_ms() < deadline_ms_ && pump(1000)) {
  }
}

void Program::close_stdin() { close_fd(stdin_); }
void Program::close_stdout() { close_fd(stdout_); }

bool Program::read_until(
    const std::function<bool(const std::string&, const std::string&)>& enough) {
  while (!enough(finished_.out, finished_.err)) {
    if (now_ms() >= deadline_ms_) return false;
    if (!pump(1000)) return enough(finished_.out, finished_.err);
  }
  return true;
}

void Program::send_signal(int signal) const { ::kill(pid_, signal); }

/// Whether the process has ended. finish() can still collect the exit status.
bool Program::ended() const {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == pid_;
}

bool Program::wait_until_it_catches(int signal) const {
  const std::string status = fmt::format("/proc/{}/status", pid_);
  for (; now_ms() < deadline_ms_ && !ended(); ::usleep(1000)) {
    std::ifstream lines(status);
    for (std::string line; std::getline(lines, line);)
      if (line.rfind("SigCgt:", 0) == 0 &&
          ((std::stoull(line.substr(7), nullptr, 16) >> (signal - 1)) & 1) == 1)
        return true;
  }
  return false;
}

bool Program::wait_until(const std::function<bool()>& happened) const {
  for (; now_ms() < deadline_ms_ && !ended(); ::usleep(1000))
    if (happened()) return true;
  return false;
}

void Program::wait_until_it_sleeps_in(const std::string& function) const {
  for (int i = 0; i < 1000 && !ended(); ++i, ::usleep(1000)) {
    std::ifstream file(fmt::format("/proc/{}/wchan", pid_));
    std::string name;
    if (std::getline(file, name) && name.find(function) != std::string::npos) return;
  }
}

bool Program::signal_until_it_ends(int signal) const {
  for (; now_ms() < deadline_ms_; ::usleep(2000)) {
    if (ended()) return true;
    ::kill(pid_, signal);
  }
  return false;
}

Finished Program::finish() {
  close_stdin();
  while (now_ms() < deadline_ms_ && pump(1000)) {
  }
  if (now_ms() >= deadline_ms_) {
    finished_.timed_out = true;
    ::kill(pid_, SIGKILL);
  }
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  finished_.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  finished_.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  EXPECT_FALSE(finished_.timed_out) << finished_.describe();
  for (const char* report : {"ERROR: AddressSanitizer", "ERROR: LeakSanitizer",
                             "runtime error:", "WARNING: ThreadSanitizer"})
    EXPECT_EQ(finished_.err.find(report), std::string::npos) << finished_.describe();
  EXPECT_NE(finished_.status, 127) << "cannot start " << tested_program();
  return finished_;
}

Finished run(const Arguments& arguments, const std::string& input,
             const Surroundings& surroundings) {
  Program program(arguments, surroundings);
  program.write(input);
  return program.finish();
}

Finished run_well(const Arguments& arguments, const std::string& input,
                  const Surroundings& surroundings) {
  Finished finished = run(arguments, input, surroundings);
  EXPECT_EQ(finished.status, 0) << fmt::format("bit-axon {}\n", fmt::join(arguments, " "))
                                << finished.describe();
  return finished;
}

Json run_json(const Arguments& arguments, const std::string& input,
              const Surroundings& surroundings) {
  Json json = parse_json(run_well(arguments, input, surroundings).out, "stdout");
  expect_keeps_to_schema(arguments.at(0), json);
  return json;
}

void expect_keeps_to_schema(const std::string& command, const Json& json) {
  if (command == "tokenize") return;  // tokenize prints a list of ids, which has no schema
  for (const std::string& problem : schema_problems(read_schema(command), json))
    ADD_FAILURE() << command << ": " << problem;
}

Arguments operator+(Arguments a, const Arguments& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

std::string joined(const std::vector<std::int32_t>& ids) {
  return fmt::format("{}", fmt::join(ids, ","));
}

const std::filesystem::path& home() {
  static const TemporaryFolder folder;
  return folder.path();
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) throw std::runtime_error("cannot read " + path.string());
  return {std::istreambuf_iterator<char>(stream), {}};
}

void write_file(const std::filesystem::path& path, const std::string& text) {
  std::ofstream stream(path, std::ios::binary);
  stream.write(text.data(), static_cast<std::streamsize>(text.size()));
  if (!stream.flush()) throw std::runtime_error("cannot write " + path.string());
}

}  // namespace bitaxon::test
