// Detects files without the real contents: pointers from a clone without Git LFS, and empty files.
#pragma once

#include <filesystem>
#include <string_view>

namespace bitaxon {

/// Throws Error(format) when `head`, the beginning of the file, is a Git LFS pointer, or when the
/// file is empty.
void refuse_pointer_or_empty(std::string_view head, const std::filesystem::path& path);

}  // namespace bitaxon
