// Which files make up a model.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace bitaxon {

/// model.safetensors.index.json: {"weight_map": {tensor: file}}.
using WeightMap = std::map<std::string, std::string, std::less<>>;

/// The safetensors files of a model, before any is opened.
struct CheckpointFiles {
  std::vector<std::filesystem::path> files = {};
  std::filesystem::path index = {};         ///< empty without one
  WeightMap map = {};                       ///< of the index
  WeightMap absent = {};                    ///< its entries whose file is not there
  std::filesystem::path absent_shard = {};  ///< without an index: the first missing by its number
  std::vector<std::string> warnings = {};

  /// The file that counts where several have a tensor.
  std::string owner_of(const std::string& tensor) const;
  /// Throws Error(io) when a tensor that no file has can be in one that is not there.
  void refuse_absent(std::string_view tensor) const;
};

/// One file, or those of a folder. Throws Error(io, format): an empty folder, a broken index, all
/// shards missing.
CheckpointFiles list_checkpoint_files(const std::filesystem::path& file_or_directory);

}  // namespace bitaxon
