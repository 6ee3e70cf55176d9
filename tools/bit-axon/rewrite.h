// The code that quantize and merge share. It writes a new model and prints a report on its parts.
#pragma once

#include <atomic>
#include <filesystem>
#include <string>
#include <vector>

#include "bitaxon/rewrite.h"
#include "options.h"

namespace bitaxon::tool {

struct RewriteCommand {
  std::string doing;  ///< text of the progress line
  std::filesystem::path output;
  OutputOptions say;
  bool json = false;
  std::vector<std::string> warnings = {};  ///< printed after the warnings of the Rewrite
};

/// Adds --config-small and --config-medium, which documented command lines use together with a
/// model.
void add_ignored_presets(Command& command, ModelOptions& options);

/// Throws UsageError if `output` is the model's own folder or file.
void refuse_own_input(const ModelFiles& files, const std::filesystem::path& output);

/// Writes the new model and prints a table of its parts, or one JSON object. Returns the exit
/// status.
int write_and_report(const RewriteCommand& command, Rewrite rewrite,
                     const std::atomic<bool>& interrupted);

}  // namespace bitaxon::tool
