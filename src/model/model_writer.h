// A new model made from another: each weight copied, changed or stored in another form, piece by
// piece, so that no weight has to be in memory as floats.
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

/// Changes whole rows in place; `first_row` counts over all matrices of a stack.
using ChangeRows = std::function<void(std::int64_t first_row, std::span<float> rows)>;

/// How one weight goes into the new model. Without a change and in the form that it has, its
/// tensors are copied as they are.
struct WeightEdit {
  FoundWeight from;                 ///< `quantize` of it is not looked at
  WeightDesc to;                    ///< the form it gets
  std::optional<Quantization> how;  ///< set when that is one of codes
  ChangeRows change;                ///< empty: none
};

struct ModelWrite {
  const ModelFiles& files;
  const Checkpoint& checkpoint;
  const ModelSpec& spec;
  const std::string& config_text;  ///< what `spec` was read from
  std::vector<WeightEdit> edits;
};

/// Writes model.safetensors, config.json and copies of the tokenizer's and the chat's files into a
/// new folder, which appears when it is complete. Tensors and keys of the configuration that the
/// model does not know are copied, except a description of a quantization that is no longer true.
/// Returns what became of each part (part_of), nothing when it was interrupted. Throws Error(io):
/// the folder is there and not empty, no room on the disk, a file that is gone, a write that fails;
/// OutOfMemory before anything is written; Error(format) that names tensor and element for a number
/// that the new form cannot hold.
std::optional<std::map<std::string, PartReport>> write_model(const ModelWrite& write,
                                                             const std::filesystem::path& output,
                                                             const LoadProgress& on_progress,
                                                             const std::atomic<bool>& interrupted);

}  // namespace bitaxon
