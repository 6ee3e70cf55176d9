// Paths of the user's folders and of the program on this system.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace bitaxon {

/// The path of the running program's file. Empty when the system does not report it.
std::filesystem::path executable_path();
/// The path of the library or program file that contains this code. Empty if it is not known.
std::filesystem::path module_path();
/// An environment variable as a path; empty when unset or "".
std::optional<std::filesystem::path> environment_path(const char* name);
/// The user's home folder: $HOME, else the folder in the password file. Empty if there is neither.
std::filesystem::path home_folder();
/// Replaces "~" or "~user" at the beginning of `path` by that user's home folder, as Python's
/// os.path.expanduser does. The path of an unknown user is not changed.
std::string expand_user(std::string_view path);
/// Expands `path` as expand_user() does. Then replaces $NAME and ${NAME} by the variable's value,
/// as Python's os.path.expandvars does. Names of unknown variables are not changed.
std::string expand_path(std::string_view path);
/// $XDG_CACHE_HOME, else ~/.cache. Empty for a user without a home folder.
std::filesystem::path cache_folder();

}  // namespace bitaxon
