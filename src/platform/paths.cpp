#include "platform/paths.h"

#include <dlfcn.h>
#include <link.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace bitaxon {
namespace {

std::string home_of(const std::string& user) {
  if (user.empty()) return home_folder().string();
  const struct passwd* entry = ::getpwnam(user.c_str());
  return entry == nullptr || entry->pw_dir == nullptr ? std::string() : entry->pw_dir;
}

/// The name of the variable at the start of `text`, which begins with "$". Empty when no name
/// follows the "$". Sets `size` to the number of bytes of the name with "$" and braces.
std::string variable_at(std::string_view text, std::size_t& size) {
  if (text.substr(1).starts_with('{')) {
    const std::size_t end = text.find('}');
    if (end == text.npos) return {};
    size = end + 1;
    return std::string(text.substr(2, end - 2));
  }
  constexpr const char* kNameBytes =
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";
  size = std::min(text.find_first_not_of(kNameBytes, 1), text.size());
  return std::string(text.substr(1, size - 1));
}

std::string expand_variables(std::string_view text) {
  std::string expanded;
  while (!text.empty()) {
    std::size_t size = 1;
    const std::string name = text.front() == '$' ? variable_at(text, size) : std::string();
    const char* value = name.empty() ? nullptr : std::getenv(name.c_str());
    expanded += value == nullptr ? text.substr(0, size) : std::string_view(value);
    text.remove_prefix(size);
  }
  return expanded;
}

}  // namespace

std::filesystem::path executable_path() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error);
}

std::filesystem::path module_path() {
  Dl_info info{};
  link_map* module = nullptr;
  if (::dladdr1(reinterpret_cast<const void*>(&module_path), &info,
                reinterpret_cast<void**>(&module), RTLD_DL_LINKMAP) == 0)
    return {};
  // The name of the program itself is what its caller wrote, which may be no path.
  if (module != nullptr && *module->l_name == '\0')
    if (std::filesystem::path program = executable_path(); !program.empty()) return program;
  std::error_code error;
  std::filesystem::path file = std::filesystem::canonical(info.dli_fname, error);
  return error ? std::filesystem::path() : file;
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

std::string expand_user(std::string_view path) {
  if (!path.starts_with('~')) return std::string(path);
  const std::size_t end = std::min(path.find('/'), path.size());
  std::string home = home_of(std::string(path.substr(1, end - 1)));
  if (home.empty()) return std::string(path);
  while (home.ends_with('/')) home.pop_back();
  home += path.substr(end);
  return home.empty() ? "/" : home;
}

std::string expand_path(std::string_view path) { return expand_variables(expand_user(path)); }

std::filesystem::path cache_folder() {
  // The XDG base directory specification says to ignore a relative path.
  const auto folder = environment_path("XDG_CACHE_HOME");
  if (folder && folder->is_absolute()) return *folder;
  const std::filesystem::path home = home_folder();
  return home.empty() ? home : home / ".cache";
}

}  // namespace bitaxon
