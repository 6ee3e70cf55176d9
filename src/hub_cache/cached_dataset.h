// Data sets in the cache that all tools of a hub share.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace bitaxon::hub {

/// The file `path` of a data set. Throws Error(io) that says how to get the data set if it is not in
/// the cache, and if the data set has no such file.
std::filesystem::path cached_dataset_file(const std::string& repository, const std::string& path);

/// The files of a split of a data set, in order: those whose name begins with the name of the split,
/// such as train-00000-of-00002.jsonl, or else contains it, or that are in a folder of that name. JSON
/// counts more than other formats. A data set of a single file is the split "train". Throws Error(io)
/// if there is no such file, if several folders have one, and if a numbered part is missing.
std::vector<std::filesystem::path> cached_dataset_split(const std::string& repository,
                                                        const std::string& split);

}  // namespace bitaxon::hub
