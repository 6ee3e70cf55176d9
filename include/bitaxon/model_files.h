// The files of a model, and the parts that are read before the weights.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "bitaxon/export.h"
#include "bitaxon/model_spec.h"

namespace bitaxon {

/// Where the files of a model are.
struct ModelFiles {
  std::filesystem::path weights;  ///< a directory, or one safetensors file
  std::filesystem::path folder;   ///< the directory of config.json and the tokenizer
  std::string config = {};        ///< used in place of the text of config.json, unless empty
};
/// The files of the model at `path`, a directory or a safetensors file. Throws Error(io) if `path`
/// is neither.
BX_API ModelFiles model_files(const std::filesystem::path& path);

/// The text of a checkpoint's vocab_mapping. Empty if the checkpoint has no such entry. Throws
/// Error(format) for an entry with an empty text.
BX_API std::string vocab_mapping_of(const std::map<std::string, std::string>& metadata,
                                    const ModelFiles& files);

/// Reads the description of a model from the config.json in its folder. `text`, unless null,
/// receives the text of the file. Throws as describe_model does, and Error(io) if the file is
/// missing.
BX_API ModelSpec load_spec(const ModelFiles& files, std::vector<std::string>& warnings,
                           std::string* text = nullptr);

}  // namespace bitaxon
