// Runs a command of the program as a part of another command.
#pragma once

#include <string>
#include <vector>

namespace bitaxon::tool {

struct CommandResult {
  int status = 0;
  std::string out;  ///< what the command has printed
};

/// Runs a command in this process: `words` are its name and its arguments. Notes and progress go to
/// stderr, as always. Throws what the command throws.
CommandResult run_words(const std::vector<std::string>& words);

/// The words as a shell reads them, with quotes where they are needed.
std::string shell_line(const std::vector<std::string>& words);

}  // namespace bitaxon::tool
