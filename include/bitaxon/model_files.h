// The files of a model, and what is read of them before the weights.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "bitaxon/export.h"
#include "bitaxon/model_spec.h"

namespace bitaxon {

/// The files of a model.
struct ModelFiles {
  std::filesystem::path weights;  ///< a directory, or one safetensors file
  std::filesystem::path folder;   ///< where config.json and the tokenizer are
};
/// Splits what a user names. Throws Error(io) when `path` is neither.
BX_API ModelFiles model_files(const std::filesystem::path& path);

/// The text of a checkpoint's vocab_mapping; empty when it has none. Throws Error(format) for one
/// that is there and says nothing.
BX_API std::string vocab_mapping_of(const std::map<std::string, std::string>& metadata,
                                    const ModelFiles& files);

/// Describes the model of a folder's config.json; `text` gets what the file says. Throws as
/// describe_model does; a missing file is an Error(io), not a model of defaults.
BX_API ModelSpec load_spec(const ModelFiles& files, std::vector<std::string>& warnings,
                           std::string* text = nullptr);

}  // namespace bitaxon
