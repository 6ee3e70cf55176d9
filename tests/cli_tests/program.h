// Runs the program as a user does: a process with arguments, stdin, an environment and outputs.
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
  std::map<std::string, std::string> environment;  ///< added to, or changed in, the clean one
  std::filesystem::path folder;                    ///< working directory; empty: that of the test
  std::filesystem::path stdin_file;                ///< opened for reading; empty: a pipe
  std::filesystem::path stdout_file;               ///< opened for writing; empty: a pipe
  bool stdout_is_full = false;                     ///< a pipe with no room until it is read
  bool stderr_is_full = false;                     ///< as stdout_is_full
  bool pipes_do_not_block = false;                 ///< O_NONBLOCK, as other programs may leave them
  bool stdin_is_terminal = false;                  ///< without echo; closing it hangs up
  std::vector<int> closed;                         ///< those of 0, 1, 2 that are not open
  bool root_obeys_permissions = false;             ///< root may not write everywhere
  std::uint64_t most_file_bytes = 0;  ///< a larger file fails, as on a full disk; 0: no limit
};

/// The end of a process.
struct Finished {
  int status = -1;  ///< exit status; -1 when a signal ended it
  int signal = 0;
  bool timed_out = false;
  std::string out, err;

  std::string describe() const;
  /// The lines of stderr.
  std::vector<std::string> err_lines() const;
};

/// One running bit-axon. It sees an empty home folder, an empty hub cache and the C locale,
/// not the user's. After the guard time the process is killed, which fails the test.
class Program {
 public:
  explicit Program(const Arguments& arguments, const Surroundings& surroundings = {});
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program();

  /// Sends text to stdin and reads the outputs meanwhile.
  void write(const std::string& text);
  void close_stdin();
  /// Reads until `enough(out, err)`; false when the process ended or the guard time passed first.
  bool read_until(const std::function<bool(const std::string&, const std::string&)>& enough);
  /// Closes the reading end of stdout, as `head` does.
  void close_stdout();
  void send_signal(int signal) const;
  /// Waits until the process catches `signal`; false when it ended or the guard time passed first.
  bool wait_until_it_catches(int signal) const;
  /// Waits for `happened`; false when the process ended or the guard time passed first.
  bool wait_until(const std::function<bool()>& happened) const;
  /// Waits until the process sleeps in the kernel function of this name, or for a moment if that
  /// cannot be seen. The process is then likely in that function, but this is not certain.
  void wait_until_it_sleeps_in(const std::string& function) const;
  /// Sends a signal repeatedly until the process ends; false when the guard time passed first.
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

/// Runs the program to its end with `input` on stdin.
Finished run(const Arguments& arguments, const std::string& input = {},
             const Surroundings& surroundings = {});
/// As run, and expects exit status 0.
Finished run_well(const Arguments& arguments, const std::string& input = {},
                  const Surroundings& surroundings = {});
/// As run_well. Returns the JSON on stdout, which must follow the command's schema.
Json run_json(const Arguments& arguments, const std::string& input = {},
              const Surroundings& surroundings = {});
/// Expects that the output of a command follows docs/schemas/COMMAND.schema.json.
void expect_keeps_to_schema(const std::string& command, const Json& json);

/// `a` followed by `b`.
Arguments operator+(Arguments a, const Arguments& b);

/// "1,2,3"
std::string joined(const std::vector<std::int32_t>& ids);

/// $HOME and $HF_HOME of every process: an empty folder.
const std::filesystem::path& home();

std::string read_file(const std::filesystem::path& path);
void write_file(const std::filesystem::path& path, const std::string& text);

}  // namespace bitaxon::test
