// Writes a new model that is made from another model. Each weight is copied, changed or stored in
// another form. The writer works piece by piece, so that no whole weight is in memory as floats.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bitaxon/model.h"
#include "bitaxon/rewrite.h"
#include "formats/safetensors.h"
#include "model/weights.h"

namespace bitaxon {

/// Changes whole rows in place. `first_row` counts the rows of all matrices of a stack.
using ChangeRows = std::function<void(std::int64_t first_row, std::span<float> rows)>;

/// How one weight goes into the new model. If there is no change and `to` is the old form, the
/// weight's tensors are copied byte for byte.
struct WeightEdit {
  FoundWeight from;                 ///< its member `quantize` is ignored
  WeightDesc to;                    ///< the form in the new model
  std::optional<Quantization> how;  ///< set if `to` is a form with codes
  ChangeRows change;                ///< changes the values; empty for no change
};

struct ModelWrite {
  const ModelFiles& files;
  const Checkpoint& checkpoint;
  const ModelSpec& spec;
  const std::string& config_text;  ///< the text that `spec` was read from
  std::vector<WeightEdit> edits;
};

/// Copies the tokenizer files and chat files of a folder into another one. Throws Error(io) if a file
/// disappears before it is copied, and if a symbolic link leads nowhere.
void copy_tokenizer(const std::filesystem::path& from, const std::filesystem::path& to);

/// Writes model.safetensors, config.json and copies of the tokenizer's and the chat's files into a
/// new folder, which appears when it is complete. Unknown tensors and unknown keys of config.json
/// are copied, except for a description of the quantization that does not fit the new weights.
/// Returns a report for each part of the model (part_of), or nothing if the call was interrupted.
/// Throws Error(io) if the folder exists and is not empty, if the disk has no room, if a file has
/// disappeared, or if a write fails. Throws OutOfMemory before anything is written. Throws
/// Error(format) that names the tensor and the element for a number that the new form cannot hold.
std::optional<std::map<std::string, PartReport>> write_model(const ModelWrite& write,
                                                             const std::filesystem::path& output,
                                                             const LoadProgress& on_progress,
                                                             const std::atomic<bool>& interrupted);

}  // namespace bitaxon
