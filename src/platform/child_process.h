// Runs another program and waits until it ends.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace bitaxon {

/// How a program ended, and what it wrote. If neither exit status nor signal is set, it is not
/// known how the program ended, because other code in this process has waited for it.
struct ChildEnd {
  std::string out;                 ///< its stdout
  std::string err;                 ///< the last bytes of its stderr
  std::optional<int> exit_status;  ///< empty when the program did not exit by itself
  int signal = 0;                  ///< signal that ended the program, or 0
  bool was_silent = false;         ///< run_child() killed the program because it wrote nothing
};

/// Runs `program` with `environment` ("NAME=VALUE") and an empty stdin. A program that writes
/// nothing to stdout for the time `patience` is killed, with all processes that it started. The
/// program runs in its own process group, so Ctrl-C at the terminal does not reach it. Throws
/// Error(io) when the program cannot be started.
ChildEnd run_child(const std::filesystem::path& program, std::vector<std::string> arguments,
                   std::vector<std::string> environment, std::chrono::milliseconds patience);

}  // namespace bitaxon
