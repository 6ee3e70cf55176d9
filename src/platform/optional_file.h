// Files that may be absent. A broken symbolic link is an error and not an absent file.
#pragma once

#include <filesystem>

namespace bitaxon {

/// Whether `path` exists, after following links. Throws Error(io) for a broken symbolic link, and
/// when the system refuses access. A broken link comes from a damaged copy or download: if it
/// counted as absent, the program would silently use another file instead.
bool optional_file_exists(const std::filesystem::path& path);

/// Throws Error(io) when `path`, or a folder on the way to it, is a broken symbolic link. The
/// message names the link and its target.
void refuse_broken_link(const std::filesystem::path& path);

}  // namespace bitaxon
