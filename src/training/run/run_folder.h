// The folder of a training run: its checkpoints, its best checkpoint, and the lock of the run.
//
//   OUTPUT/step_00000500/            a checkpoint; the folder appears when it is complete
//   OUTPUT/best/                     the checkpoint with the lowest loss on the validation data
//   OUTPUT/final_adapter.safetensors the adapter when the run ended
//   OUTPUT/metrics.jsonl             one line for each update and evaluation
//   OUTPUT/.lock                     held while a run uses the folder
//   OUTPUT/.step_00000500.0123abcd.tmp/  a checkpoint that is being written or removed
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "platform/file_lock.h"

namespace bitaxon {

class RunFolder {
 public:
  /// Makes the folder if it does not exist, locks it and removes the temporary files and folders
  /// that killed runs left. Throws Error(io) if another run uses the folder or if it cannot be made.
  explicit RunFolder(std::filesystem::path path);

  const std::filesystem::path& path() const { return path_; }
  /// The steps of all checkpoints, ascending.
  std::vector<std::int64_t> steps() const;
  std::filesystem::path step_folder(std::int64_t step) const;
  std::filesystem::path best_folder() const { return path_ / "best"; }
  std::filesystem::path adapter_file() const { return path_ / "final_adapter.safetensors"; }
  std::filesystem::path metrics_file() const { return path_ / "metrics.jsonl"; }

  /// Writes a folder of this run: `write` fills a temporary folder, which then gets the name `target`
  /// in one step. A folder that has this name is replaced. Throws what `write` throws, and Error(io).
  void put(const std::filesystem::path& target,
           const std::function<void(const std::filesystem::path& folder)>& write);
  /// Removes checkpoints of steps up to `newest`, but the last `n_kept` of them.
  void prune(std::int64_t newest, std::int64_t n_kept);

 private:
  std::filesystem::path temporary_for(const std::filesystem::path& target) const;
  void remove_leftovers() const;
  void remove(const std::filesystem::path& folder) const;

  std::filesystem::path path_;
  std::optional<FileLock> lock_;
};

/// The steps of the checkpoints in a folder, ascending. Empty if there is no such folder.
std::vector<std::int64_t> checkpoint_steps(const std::filesystem::path& folder);
/// The name of the folder of a checkpoint: "step_00000500".
std::string checkpoint_name(std::int64_t step);

}  // namespace bitaxon
