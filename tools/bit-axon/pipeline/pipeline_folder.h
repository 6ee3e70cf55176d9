// The folder of a pipeline: what its stages have done, and the files that report it.
//
//   OUTPUT/pipeline_state.json     settings, and each finished step with its numbers
//   OUTPUT/pipeline_results.json   the numbers together, or the error that ended the run
//   OUTPUT/pipeline_log.txt        the command of each finished step, its time and its numbers
//   OUTPUT/training_metrics.json   step, loss and gradient norm of each update of the SFT stage
//   OUTPUT/.lock                   held while a pipeline uses the folder
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/json.h"
#include "platform/file_lock.h"

namespace bitaxon::tool {

/// A step that has ended well.
struct FinishedStep {
  std::string name;
  std::string command;  ///< what a shell would run for it
  double seconds = 0;
  Json metrics = Json::object();  ///< numbers by name
};

class PipelineFolder {
 public:
  /// Makes the folder if it does not exist, locks it and reads its state. Throws Error(io) if
  /// another pipeline uses the folder, if it holds other files than those of a pipeline, or if it
  /// cannot be made. Throws Error(format) for a state that cannot be read.
  explicit PipelineFolder(std::filesystem::path path);

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path state_file() const { return path_ / "pipeline_state.json"; }
  /// The settings of the pipeline that the folder belongs to, by the names of their flags. Null for
  /// a new folder.
  const Json& settings() const { return settings_; }
  const std::vector<FinishedStep>& steps() const { return steps_; }
  bool has(std::string_view step) const;

  /// Begins a pipeline with these settings, or continues one. Throws Error(io).
  void begin(const Json& settings);
  /// Adds a step and writes the state. Throws Error(io).
  void add(FinishedStep step);

 private:
  void read_state();
  void write_state() const;

  std::filesystem::path path_;
  std::optional<FileLock> lock_;
  Json settings_;
  std::vector<FinishedStep> steps_;
};

}  // namespace bitaxon::tool
