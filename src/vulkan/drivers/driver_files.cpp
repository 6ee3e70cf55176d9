#include "vulkan/drivers/driver_files.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <set>
#include <string_view>

#include "formats/json.h"
#include "platform/build_info.h"
#include "platform/file.h"
#include "vulkan/device/device_access.h"

namespace bitaxon::vulkan {
namespace {

using std::filesystem::path;

constexpr std::uint64_t kMaxManifestBytes = std::uint64_t{1} << 20;
/// Prefixes of environment variables that change what the loader, drivers and layers do.
constexpr std::array<std::string_view, 16> kDriverVariables = {
    "VK_",           "LD_",    "MESA_", "LIBGL_", "DRI_",
    "GALLIUM_",      "LP_",    "RADV_", "AMD_",   "ACO_",
    "ANV_",          "INTEL_", "NVK_",  "__",     "BIT_AXON_VALIDATION",
    "BIT_AXON_PROBE"};

/// Reads an environment variable as the loader does: in a program that runs with another user's
/// rights, the variable counts as not set.
std::optional<std::string> variable(const char* name) {
  const char* value = ::secure_getenv(name);
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

std::string variable_or(const char* name, const std::string& otherwise) {
  const std::optional<std::string> value = variable(name);
  return value && !value->empty() ? *value : otherwise;
}

void add_list(const std::string& list, const path& below, std::vector<path>& paths) {
  for (std::size_t begin = 0; begin <= list.size();) {
    const std::size_t end = std::min(list.find(':', begin), list.size());
    const path place = list.substr(begin, end - begin);
    if (!place.empty()) paths.push_back(below.empty() ? place : place / below);
    begin = end + 1;
  }
}

/// The folders in which the loader searches by default for manifests. `below` is the last part of
/// their paths: vulkan/icd.d for drivers, or a folder for layers.
std::vector<path> system_folders(const path& below) {
  const std::string home = variable_or("HOME", "");
  std::vector<path> folders;
  const auto add_home = [&](const char* name, const char* in_home) {
    const std::string folder = variable_or(name, home.empty() ? "" : home + in_home);
    if (!folder.empty()) folders.push_back(path(folder) / below);
  };
  add_home("XDG_CONFIG_HOME", "/.config");
  add_list(variable_or("XDG_CONFIG_DIRS", "/etc/xdg"), below, folders);
  add_list("/usr/local/etc:/etc", below, folders);
  add_home("XDG_DATA_HOME", "/.local/share");
  add_list(variable_or("XDG_DATA_DIRS", "/usr/local/share:/usr/share"), below, folders);
  return folders;
}

/// Adds `place` to `manifests` if it is a manifest. Otherwise `place` is a folder, and the function
/// adds the manifests in this folder.
void add_manifests(const path& place, std::set<path>& manifests) {
  if (place.extension() == ".json") {
    manifests.insert(place);
    return;
  }
  std::error_code error;
  for (std::filesystem::directory_iterator it(place, error), end; !error && it != end;
       it.increment(error))
    if (it->path().extension() == ".json") manifests.insert(it->path());
}

/// A line with the name, size and modification time of a file. For a missing file, a line with the
/// name and "-".
std::string stamp(const path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) return fmt::format("{} -\n", file.string());
  return fmt::format("{} {} {}.{}\n", file.string(), status.st_size, status.st_mtim.tv_sec,
                     status.st_mtim.tv_nsec);
}

/// The path of a driver's library. Empty if the manifest gives only a name, for which the dynamic
/// linker searches, or if the manifest cannot be read.
path library_of(const path& manifest) try {
  const Json json = parse_json(read_whole_file(manifest, kMaxManifestBytes), manifest.string());
  const path library = json.at("ICD").at("library_path").get<std::string>();
  return library.has_parent_path() ? manifest.parent_path() / library : path();
} catch (const std::exception&) {
  return {};
}

/// The environment variables that switch an implicit layer on or off, with their values, as text.
std::string switches_of(const path& manifest) try {
  const Json json = parse_json(read_whole_file(manifest, kMaxManifestBytes), manifest.string());
  std::string text;
  for (const Json& layer :
       json.contains("layers") ? json["layers"] : Json::array({json.at("layer")}))
    for (const char* kind : {"enable_environment", "disable_environment"})
      if (const auto names = layer.find(kind); names != layer.end())
        for (const auto& [name, ignored] : names->items())
          text += fmt::format("{}={}\n", name, variable_or(name.c_str(), ""));
  return text;
} catch (const std::exception&) {
  return {};
}

std::string layer_circumstances() {
  std::set<path> manifests;
  for (const char* folder : {"vulkan/implicit_layer.d", "vulkan/explicit_layer.d"})
    for (const path& place : system_folders(folder)) add_manifests(place, manifests);
  std::string stamps;
  for (const path& manifest : manifests) stamps += stamp(manifest) + switches_of(manifest);
  return stamps;
}

std::string limits() {
  std::string text;
  for (const auto resource : {RLIMIT_AS, RLIMIT_DATA, RLIMIT_STACK, RLIMIT_NPROC, RLIMIT_NOFILE}) {
    rlimit limit{};
    ::getrlimit(resource, &limit);
    text += fmt::format("limit {}\n", limit.rlim_cur);
  }
  return text;
}

std::string boot() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id + "\n";
}

}  // namespace

std::vector<path> driver_manifests() {
  std::vector<path> places;
  std::optional<std::string> named = variable("VK_DRIVER_FILES");
  if (!named) named = variable("VK_ICD_FILENAMES");
  if (named) {
    add_list(*named, "", places);
  } else {
    add_list(variable_or("VK_ADD_DRIVER_FILES", ""), "", places);
    for (const path& folder : system_folders("vulkan/icd.d")) places.push_back(folder);
  }
  std::set<path> manifests;
  for (const path& place : places) add_manifests(place, manifests);
  return {manifests.begin(), manifests.end()};
}

EnvironmentChanges loader_settings(const std::optional<std::vector<path>>& manifests,
                                   bool with_layers) {
  EnvironmentChanges changes;
  if (manifests) {
    std::vector<std::string> names;
    for (const path& manifest : *manifests) names.push_back(manifest.string());
    const std::string list = fmt::format("{}", fmt::join(names, ":"));
    changes["VK_DRIVER_FILES"] = list;
    changes["VK_ICD_FILENAMES"] = list;  // loaders before 1.3.207 read this variable instead
    changes["VK_ADD_DRIVER_FILES"] = std::nullopt;
  }
  if (!with_layers) {
    const std::string disabled = variable_or("VK_LOADER_LAYERS_DISABLE", "");
    changes["VK_LOADER_LAYERS_DISABLE"] = disabled + (disabled.empty() ? "" : ",") + "~implicit~";
  }
  return changes;
}

std::string driver_circumstances(const std::vector<path>& manifests) {
  std::string text = fmt::format("{} {}\n", build_info().version, build_info().commit);
  text += boot() + limits();
  for (const path& manifest : manifests) {
    text += stamp(manifest);
    if (const path library = library_of(manifest); !library.empty()) text += stamp(library);
  }
  text += layer_circumstances();
  // The dynamic linker's cache is rewritten whenever a library is installed. So its stamp also
  // changes for libraries that manifests name without a folder.
  text += stamp("/etc/ld.so.cache");
  for (const path& node : gpu_nodes())
    text += fmt::format("{} {}\n", node.string(), ::access(node.c_str(), R_OK | W_OK));
  std::vector<std::string> variables = environment_with({});
  std::ranges::sort(variables);
  for (const std::string& entry : variables)
    if (std::ranges::any_of(kDriverVariables,
                            [&](std::string_view name) { return entry.starts_with(name); }))
      text += entry + "\n";
  return text;
}

}  // namespace bitaxon::vulkan
