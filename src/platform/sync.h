// Puts what was written onto the disk, so that a name never stands for less than it promises after
// a loss of power.
#pragma once

#include <filesystem>

namespace bitaxon {

/// Flushes the entries of a folder: which names it has. Does nothing where the system cannot do
/// this. Throws Error(io) when the disk fails.
void sync_folder(const std::filesystem::path& folder);
/// The folder that holds `path`.
void sync_parent(const std::filesystem::path& path);
/// Flushes a folder with all files and folders in it.
void sync_tree(const std::filesystem::path& folder);

}  // namespace bitaxon
