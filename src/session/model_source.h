// Finds tokenizers that a user names. Models and texts: bitaxon/session.h.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace bitaxon {

/// The path that a named tokenizer has: a path as it is, or the folder of a hub id in the hub cache.
/// Messages call the name `argument`. Throws Error(io) with the command that fetches the id if it is
/// not in the cache.
std::filesystem::path find_tokenizer_path(const std::string& name, std::string_view argument);

}  // namespace bitaxon
