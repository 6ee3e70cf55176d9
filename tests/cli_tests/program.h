// The program as a user runs it: a process with arguments, stdin, an environment, and what it says.
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

/// How a process is started, beyond its arguments.
struct Surroundings {
  std::map<std::string, std::string> environment;  ///< added to, or in place of, the clean one
  std::filesystem::path folder;                    ///< working directory; empty: the test's
  std::filesystem::path stdin_file;                ///< opened for reading; empty: a pipe
  std::filesystem::path stdout_file;               ///< opened for writing; empty: a pipe
  bool stdout_is_full = false;                     ///< a pipe with no room until it is read
  bool stderr_is_full = false;                     ///< likewise
  bool pipes_do_not_block = false;                 ///< O_NONBLOCK, as others may leave them
  bool stdin_is_terminal = false;                  ///< without echo; closing it hangs up
  std::vector<int> closed;                         ///< of 0, 1, 2: not open at all
  bool root_obeys_permissions = false;             ///< as other users do
  std::uint64_t most_file_bytes = 0;  ///< beyond it writes fail, as on a full disk; 0: no limit
};

/// How a process ended.
struct Finished {
  int status = -1;  ///< exit status; -1 when a signal ended it
  int signal = 0;
  bool timed_out = false;
  std::string out, err;

  std::string describe() const;
  /// Lines of stderr.
  std::vector<std::string> err_lines() const;
};

/// One running bit-axon. It sees an empty home and hub cache and the C locale, whatever the user's
/// are. A process that is still there after the guard time is killed, which the test then sees.
class Program {
 public:
  explicit Program(const Arguments& arguments, const Surroundings& surroundings = {});
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program();

  /// Sends text to stdin, and reads meanwhile.
  void write(const std::string& text);
  void close_stdin();
  /// Reads until `enough(out, err)`; false when the process ended or the guard time passed first.
  bool read_until(const std::function<bool(const std::string&, const std::string&)>& enough);
  /// The reader goes away, as `head` does.
  void close_stdout();
  void send_signal(int signal) const;
  /// False when the process ended or the guard time passed first.
  bool wait_until_it_catches(int signal) const;
  /// False when the process ended or the guard time passed before `happened`.
  bool wait_until(const std::function<bool()>& happened) const;
  /// Waits until it sleeps in a function of the kernel of this name; where that cannot be seen, for
  /// a moment. A chance to meet a case, no proof of one.
  void wait_until_it_sleeps_in(const std::string& function) const;
  /// Sends a signal again and again; false when the guard time passed first.
  bool signal_until_it_ends(int signal) const;
  /// Closes stdin and waits for the end. A sanitizer's report fails the test.
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

/// Runs to the end with `input` on stdin.
Finished run(const Arguments& arguments, const std::string& input = {},
             const Surroundings& surroundings = {});
/// As run, and expects exit status 0.
Finished run_well(const Arguments& arguments, const std::string& input = {},
                  const Surroundings& surroundings = {});
/// As run_well; the JSON on stdout, which has to keep to the command's schema.
Json run_json(const Arguments& arguments, const std::string& input = {},
              const Surroundings& surroundings = {});
/// Holds what a command has printed to docs/schemas/COMMAND.schema.json.
void expect_keeps_to_schema(const std::string& command, const Json& json);

/// a followed by b.
Arguments operator+(Arguments a, const Arguments& b);

/// "1,2,3"
std::string joined(const std::vector<std::int32_t>& ids);

/// $HOME and $HF_HOME of every process; empty.
const std::filesystem::path& home();

std::string read_file(const std::filesystem::path& path);
void write_file(const std::filesystem::path& path, const std::string& text);

}  // namespace bitaxon::test
