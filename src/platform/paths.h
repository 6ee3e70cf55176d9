// Where things are on this system.
#pragma once

#include <filesystem>
#include <optional>

namespace bitaxon {

/// The running program's file; empty when the system does not tell.
std::filesystem::path executable_path();
/// An environment variable as a path; empty when unset or "".
std::optional<std::filesystem::path> environment_path(const char* name);
/// The user's home folder: $HOME, else the password file's; empty when there is none.
std::filesystem::path home_folder();
/// $XDG_CACHE_HOME, else ~/.cache.
std::filesystem::path cache_folder();

}  // namespace bitaxon
