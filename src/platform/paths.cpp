#include "platform/paths.h"

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>

namespace bitaxon {

std::filesystem::path executable_path() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error);
}

std::optional<std::filesystem::path> environment_path(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return std::filesystem::path(value);
}

std::filesystem::path home_folder() {
  if (const auto home = environment_path("HOME")) return *home;
  const struct passwd* entry = ::getpwuid(::getuid());
  return entry == nullptr || entry->pw_dir == nullptr ? std::filesystem::path() : entry->pw_dir;
}

std::filesystem::path cache_folder() {
  // The XDG base directory specification: a relative path is to be ignored.
  const auto folder = environment_path("XDG_CACHE_HOME");
  return folder && folder->is_absolute() ? *folder : home_folder() / ".cache";
}

}  // namespace bitaxon
