// Detects files without the real contents: pointers from a clone without Git LFS, and empty files.
#pragma once

#include <filesystem>
#include <string_view>

namespace bitaxon {

/// Throws Error(format) when the file is a Git LFS pointer or empty. `head` is the beginning of the
/// file.
void refuse_pointer_or_empty(std::string_view head, const std::filesystem::path& path);

}  // namespace bitaxon
