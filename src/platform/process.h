// Other programs.
#pragma once

#include <string>
#include <vector>

namespace bitaxon {

struct ProcessResult {
  int exit_status = 0;  ///< when no signal ended it
  int signal = 0;
  std::string output;  ///< what it wrote to stdout and to stderr
};

/// Runs a program, looked up on the PATH, and waits for its end; its stdin is empty. Throws
/// Error(unsupported) when there is no such program, Error(io) when the system refuses.
ProcessResult run_process(const std::vector<std::string>& arguments);

}  // namespace bitaxon
