// What a pipeline reports: the files of its folder, and what the program prints.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "formats/json.h"
#include "pipeline/pipeline_folder.h"

namespace bitaxon::tool {

/// The numbers of all finished steps, with the artifacts, or with the error that ended the run.
/// `error` is empty if there was none.
Json results_json(const std::vector<FinishedStep>& steps, const Json& artifacts,
                  const std::string& error);

/// The command, the time and the numbers of each finished step, and the error that ended the run.
/// `error` is empty if there was none.
std::string log_text(const std::vector<FinishedStep>& steps, const std::string& error);

/// The table that the program prints at the end.
std::string results_text(const Json& results);

/// Step, loss and gradient norm of each update in the metrics.jsonl of a training run. Throws
/// Error(io, format).
Json update_list(const std::filesystem::path& metrics_file);

}  // namespace bitaxon::tool
