// Runs the program in the same way as a user: as a process with arguments, stdin, an environment
// and outputs.
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

/// The surroundings in which a process starts.
struct Surroundings {
  std::map<std::string, std::string> environment;  ///< added to the clean environment
  std::filesystem::path folder;                    ///< working directory; empty: the test's
  std::filesystem::path stdin_file;                ///< opened for reading; empty: a pipe
  std::filesystem::path stdout_file;               ///< opened for writing; empty: a pipe
  bool stdout_is_full = false;                     ///< a pipe with no room until it is read
  bool stderr_is_full = false;                     ///< like stdout_is_full
  bool pipes_do_not_block = false;                 ///< O_NONBLOCK, which other programs may set
  bool stdin_is_terminal = false;                  ///< without echo; closing it hangs up
  std::vector<int> closed;                         ///< standard streams (0, 1, 2) that are closed
  bool root_obeys_permissions = false;             ///< root may not write everywhere
  std::uint64_t most_file_bytes = 0;  ///< larger files fail, as on a full disk; 0: no limit
};

/// How a process ended, and its outputs.
struct Finished {
  int status = -1;  ///< exit status; -1 if a signal ended the process
  int signal = 0;
  bool timed_out = false;
  std::string out, err;

  std::string describe() const;
  /// The lines of stderr.
  std::vector<std::string> err_lines() const;
};

/// A running process of the program. It sees an empty home folder, an empty hub cache and the C
/// locale instead of the user's. The constructor returns when the program has started. After the
/// guard time the process is killed, and the test fails.
class Program {
 public:
  explicit Program(const Arguments& arguments, const Surroundings& surroundings = {});
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program();

  /// Sends text to stdin and reads the outputs in the meantime.
  void write(const std::string& text);
  void close_stdin();
  /// Reads until `enough(out, err)`. Returns false if the process ended or the guard time passed
  /// first.
  bool read_until(const std::function<bool(const std::string&, const std::string&)>& enough);
  /// Closes the reading end of stdout, like `head`.
  void close_stdout();
  void send_signal(int signal) const;
  /// Waits until the process catches `signal`. Returns false if the process ended or the guard time
  /// passed first.
  bool wait_until_it_catches(int signal) const;
  /// Waits for `happened`. Returns false if the process ended or the guard time passed first.
  bool wait_until(const std::function<bool()>& happened) const;
  /// Waits until the process sleeps in the kernel function `function`. If the system does not tell,
  /// waits for a moment, after which the process is likely in that function.
  void wait_until_it_sleeps_in(const std::string& function) const;
  /// Sends a signal repeatedly until the process ends. Returns false if the guard time passed
  /// first.
  bool signal_until_it_ends(int signal) const;
  /// Closes stdin and waits for the end of the process. A sanitizer's report fails the test.
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
/// Like run_well(). Returns the JSON on stdout, which must follow the schema of the command.
Json run_json(const Arguments& arguments, const std::string& input = {},
              const Surroundings& surroundings = {});
/// Expects that the output of a command follows docs/schemas/COMMAND.schema.json.
void expect_keeps_to_schema(const std::string& command, const Json& json);

/// `a` followed by `b`.
Arguments operator+(Arguments a, const Arguments& b);

/// The ids as text: "1,2,3".
std::string joined(const std::vector<std::int32_t>& ids);

/// The empty folder that is $HOME and $HF_HOME of every process.
const std::filesystem::path& home();

std::string read_file(const std::filesystem::path& path);
void write_file(const std::filesystem::path& path, const std::string& text);

}  // namespace bitaxon::test
