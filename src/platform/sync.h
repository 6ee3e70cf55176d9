// Flushes files and folders to the disk, and renames folders, so that after a loss of power no name
// refers to an incomplete file.
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
/// Gives `folder` the name `target` in one step. If `target` exists, both change their names, so that
/// `folder` then has the old files. Both must be on the same file system. A file system that cannot
/// exchange names needs several steps, and the name "`folder`.old". Throws Error(io).
void replace_folder(const std::filesystem::path& folder, const std::filesystem::path& target);

}  // namespace bitaxon
