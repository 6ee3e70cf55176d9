// Finds the safetensors files of a model.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace bitaxon {

/// The contents of a model.safetensors.index.json: the file name for each tensor. The file has the
/// form {"weight_map": {tensor: file}}.
using WeightMap = std::map<std::string, std::string, std::less<>>;

/// The safetensors files of a model, before any file is opened.
struct CheckpointFiles {
  std::vector<std::filesystem::path> files = {};
  std::filesystem::path index = {};         ///< the index file; empty without an index
  WeightMap map = {};                       ///< all entries of the index
  WeightMap absent = {};                    ///< entries of the index whose file is missing
  std::filesystem::path absent_shard = {};  ///< set without an index: the first missing shard
  std::vector<std::string> warnings = {};

  /// The file to read a tensor from when several files hold the tensor.
  std::string owner_of(const std::string& tensor) const;
  /// Call this for a tensor that no file holds. Throws Error(io) when a missing file may hold the
  /// tensor.
  void refuse_absent(std::string_view tensor) const;
};

/// Lists the files of the model at a path, which is one safetensors file or a folder. Throws
/// Error(io, format) for a folder without safetensors files, a broken index, and an index whose
/// shards are all missing.
CheckpointFiles list_checkpoint_files(const std::filesystem::path& file_or_directory);

}  // namespace bitaxon
