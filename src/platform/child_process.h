// Another program, run to its end.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace bitaxon {

/// How a program ended, and what it wrote. Without exit status and signal it is not known: somebody
/// else in this process has waited for it.
struct ChildEnd {
  std::string out;                 ///< its stdout
  std::string err;                 ///< the last bytes of its stderr
  std::optional<int> exit_status;  ///< empty when it did not exit by itself
  int signal = 0;                  ///< that ended it
  bool was_silent = false;         ///< killed here because it had written nothing for too long
};

/// Runs `program` with `environment` ("NAME=VALUE") and an empty stdin. A program that writes
/// nothing to stdout for as long as `patience` is killed with all that it has started. It gets
/// signals of its own only: Ctrl-C at the terminal does not reach it. Throws Error(io) when it
/// cannot be started.
ChildEnd run_child(const std::filesystem::path& program, std::vector<std::string> arguments,
                   std::vector<std::string> environment, std::chrono::milliseconds patience);

}  // namespace bitaxon
