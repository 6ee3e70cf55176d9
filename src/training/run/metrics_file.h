// metrics.jsonl: one JSON object a line for each update, evaluation and event of a run.
#pragma once

#include <cstdint>
#include <filesystem>

#include "formats/json.h"
#include "platform/partial_file.h"

namespace bitaxon {

class MetricsFile {
 public:
  /// Opens the file, or creates an empty one. Throws Error(io).
  explicit MetricsFile(const std::filesystem::path& path);

  /// Appends a line. Throws Error(io) when the disk is full.
  void add(const Json& line);
  /// Removes all lines.
  void clear() { file_.clear(); }

 private:
  PartialFile file_;
};

/// Removes the lines of a metrics file that were written after a checkpoint was made: lines of later
/// steps and of later micro-batches, and an incomplete line. Does nothing if there is no file. Throws
/// Error(io).
void cut_metrics(const std::filesystem::path& path, std::int64_t step, std::uint64_t micro_batch);

}  // namespace bitaxon
