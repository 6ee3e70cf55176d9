// Files that may be absent. A symbolic link that leads nowhere is not an absent file.
#pragma once

#include <filesystem>

namespace bitaxon {

/// Whether something is at `path`, links followed. Throws Error(io) for a symbolic link that leads
/// nowhere, and when the system refuses to look. Such a link is a damaged copy or download: if it
/// counted as absence, another file would be used in its place without a word.
bool optional_file_exists(const std::filesystem::path& path);

/// Throws Error(io) with link and target when `path`, or a folder on the way to it, is a symbolic
/// link that leads nowhere.
void refuse_broken_link(const std::filesystem::path& path);

}  // namespace bitaxon
