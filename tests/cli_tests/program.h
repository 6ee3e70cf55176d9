// Runs the program as a user does: as a process with arguments, an environment, stdin and outputs.
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "formats/json.h"

namespace bitaxon::test {

using Arguments = std::vector<std::string>;

/// The environment, the working folder and the standard streams of a process.
struct Surroundings {
  std::map<std::string, std::string> environment;  ///< added to the clean environment
  std::filesystem::path folder;       ///< working folder of the process; empty: that of the test
  std::filesystem::path stdin_file;   ///< file to read as stdin; empty: a pipe
  std::filesystem::path stdout_file;  ///< file to write as stdout; empty: a pipe
  bool stdout_is_full = false;        ///< stdout is a pipe that is full until it is read
  bool stderr_is_full = false;        ///< stderr is a pipe that is full until it is read
  /// Whether the pipes have O_NONBLOCK, which other programs may set.
  bool pipes_do_not_block = false;
  bool stdin_is_terminal = false;       ///< stdin is a terminal without echo; closing it hangs up
  std::vector<int> closed;              ///< standard streams (0, 1, 2) that are closed
  bool root_obeys_permissions = false;  ///< whether file permissions also apply to root
  /// Limit for the size of a file, as on a full disk; 0: no limit.
  std::uint64_t most_file_bytes = 0;
};

/// How a process ended, and what it wrote to stdout and stderr.
struct Finished {
  int status = -1;  ///< exit status; -1 if a signal ended the process
  int signal = 0;
  bool timed_out = false;
  std::string out, err;

  std::string describe() const;
  /// Splits stderr into lines.
  std::vector<std::string> err_lines() const;
};

/// A process that runs the program. The process sees an empty home folder, an empty hub cache and
/// the C locale instead of the user's. The constructor returns when the program has started. A
/// process that is still running after the guard time is killed, and the test fails.
class Program {
 public:
  explicit Program(const Arguments& arguments, const Surroundings& surroundings = {});
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program();

  /// Writes text to stdin. Reads the outputs in the meantime, so that the process does not block.
  void write(const std::string& text);
  void close_stdin();
  /// Reads the outputs until `enough(out, err)` is true. Returns false if the process ends or the
  /// guard time passes first.
  bool read_until(const std::function<bool(const std::string&, const std::string&)>& enough);
  /// Closes the reading end of stdout, as `head` does.
  void close_stdout();
  void send_signal(int signal) const;
  /// Waits until the process has a handler for `signal`. Returns false if the process ends or the
  /// guard time passes first.
  bool wait_until_it_catches(int signal) const;
  /// Waits until `happened()` is true. Returns false if the process ends or the guard time passes
  /// first.
  bool wait_until(const std::function<bool()>& happened) const;
  /// Waits until the process sleeps in the kernel function `function`. If the system does not show
  /// this function, waits for a moment. The process is then probably in the function.
  void wait_until_it_sleeps_in(const std::string& function) const;
  /// Sends a signal repeatedly until the process ends. Returns false if the guard time passes
  /// first.
  bool signal_until_it_ends(int signal) const;
  /// Closes stdin and waits for the end of the process. The test fails if a sanitizer has reported
  /// a problem.
  Finished finish();

  const std::string& out() const { return finished_.out; }
  const std::string& err() const { return finished_.err; }

 private:
  bool pump(int timeout_ms);
  bool ended() const;

  pid_t pid_ = -1;
  int stdin_ = -1, stdout_ = -1, stderr_ = -1;
  std::string to_write_;
  std::int64_t deadline_ms_ = 0;
  Finished finished_;
};

/// Runs the program to its end with `input` on stdin.
Finished run(const Arguments& arguments, const std::string& input = {},
             const Surroundings& surroundings = {});
/// Like run(), and expects exit status 0.
Finished run_well(const Arguments& arguments, const std::string& input = {},
                  const Surroundings& surroundings = {});
/// Runs the program like run_well(). Returns the JSON on stdout, which must follow the schema of
/// the command.
Json run_json(const Arguments& arguments, const std::string& input = {},
              const Surroundings& surroundings = {});
/// Expects that `json` follows docs/schemas/COMMAND.schema.json, the schema of the command's
/// output.
void expect_keeps_to_schema(const std::string& command, const Json& json);

/// The arguments `a`, followed by the arguments `b`.
Arguments operator+(Arguments a, const Arguments& b);

/// The ids as text, such as "1,2,3".
std::string joined(const std::vector<std::int32_t>& ids);

/// The path of an empty folder. It is $HOME and $HF_HOME of every process.
const std::filesystem::path& home();

std::string read_file(const std::filesystem::path& path);
void write_file(const std::filesystem::path& path, const std::string& text);

}  // namespace bitaxon::test
