// Finds tokenizers that a user names. bitaxon/session.h finds models and texts.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace bitaxon {

/// The path of a tokenizer. `name` is a path, which is returned unchanged, or a hub id, for which
/// the folder in the hub cache is returned. Messages call the name `argument`. If a hub id is not
/// in the cache, throws Error(io) with the command that fetches it.
std::filesystem::path find_tokenizer_path(const std::string& name, std::string_view argument);

}  // namespace bitaxon
