// Where things are on this system.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace bitaxon {

/// The running program's file; empty when the system does not tell.
std::filesystem::path executable_path();
/// An environment variable as a path; empty when unset or "".
std::optional<std::filesystem::path> environment_path(const char* name);
/// The user's home folder: $HOME, else the password file's; empty when there is none.
std::filesystem::path home_folder();
/// `path` with "~" or "~user" at its beginning replaced by that user's home folder, as Python's
/// os.path.expanduser does it. Of an unknown user it stays as it is.
std::string expand_user(std::string_view path);
/// As expand_user; then $NAME and ${NAME} become the variable's value, as in Python's
/// os.path.expandvars. Unknown variables stay as they are.
std::string expand_path(std::string_view path);
/// $XDG_CACHE_HOME, else ~/.cache; empty for a user without a home.
std::filesystem::path cache_folder();

}  // namespace bitaxon
