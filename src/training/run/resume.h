// Finds the checkpoint that a run continues from, and tells whether the run may continue with other
// settings.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/json.h"
#include "training/run/checkpoint_files.h"

namespace bitaxon {

struct FoundCheckpoint {
  std::filesystem::path folder;
  TrainCheckpoint checkpoint;
  /// One line for each newer checkpoint that is damaged.
  std::vector<std::string> damaged;
};

/// The checkpoint in the folder `named`, or the newest readable checkpoint below it, if it is the
/// folder of a run.
/// Empty if there is none. Throws Error(io, format, unsupported) if all checkpoints are damaged.
std::optional<FoundCheckpoint> find_checkpoint(const std::filesystem::path& named);

/// Checks that a new run can use a folder. Throws Error(io) if the folder has checkpoints.
void refuse_checkpoints(const std::filesystem::path& run_folder);
/// Checks that a run can continue from the checkpoint `from` in the folder of a run. Throws Error(io)
/// if the folder has newer checkpoints, which the run would mix with its own. `damaged` says how many
/// of them are damaged, so that they do not count.
void refuse_newer_checkpoints(const std::filesystem::path& run_folder, const FoundCheckpoint& from);

/// Compares the settings of a run with those of its checkpoint. Keys are names of flags. The keys in
/// `fixed` have shaped the run so far: another value throws Error(invalid_argument) that names the
/// flag, the old and the new value. Returns one line on the other changes, or "" without changes.
std::string compare_settings(const Json& old, const Json& now,
                             std::span<const std::string_view> fixed);

}  // namespace bitaxon
