// The common part of quantize and merge: writing a new model from another, and reporting on its
// parts.
#pragma once

#include <atomic>
#include <filesystem>
#include <string>
#include <vector>

#include "model/model_writer.h"
#include "model_source.h"
#include "options.h"

namespace bitaxon::tool {

struct Rewrite {
  std::string doing;  ///< text of the progress line
  const ModelFiles& files;
  const Checkpoint& checkpoint;
  const ModelSpec& spec;
  const std::string& config_text;
  std::filesystem::path output;
  OutputOptions say;
  bool json = false;
};

/// Adds --config-small and --config-medium, which documented command lines use together with a
/// model.
void add_ignored_presets(Command& command, ModelOptions& options);

/// The model's folder with `suffix` at the end of its name; for a model from the hub, the
/// repository's name with `suffix`, in the current directory.
std::filesystem::path folder_beside(const ModelSource& source, const std::string& suffix);

/// Throws UsageError if `output` is the model's own folder or file.
void refuse_own_input(const ModelFiles& files, const std::filesystem::path& output);

/// Writes the new model and prints a table of its parts, or one JSON object. Returns the exit
/// status.
int rewrite(const Rewrite& rewrite, std::vector<WeightEdit> edits,
            const std::vector<std::string>& warnings, const std::atomic<bool>& interrupted);

}  // namespace bitaxon::tool
