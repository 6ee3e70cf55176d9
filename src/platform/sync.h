// Flushes files and folders to the disk, so that after a loss of power no file name refers to an
// incomplete file.
#pragma once

#include <filesystem>

namespace bitaxon {

/// Flushes the list of names in a folder. Does nothing where the file system does not support this.
/// Throws Error(io) when the disk fails.
void sync_folder(const std::filesystem::path& folder);
/// Flushes the folder that holds `path`.
void sync_parent(const std::filesystem::path& path);
/// Flushes a folder and all files and folders in it.
void sync_tree(const std::filesystem::path& folder);

}  // namespace bitaxon
