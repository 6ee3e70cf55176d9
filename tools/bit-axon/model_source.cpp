#include "model_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "bitaxon/error.h"
#include "platform/file.h"
#include "platform/paths.h"
#include "platform/printable.h"

namespace bitaxon::tool {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDefaultRepository = "skyoo2003/bit-axon";

/// "owner/name" of the letters a hub allows.
bool is_hub_id(const std::string& name) {
  const std::size_t slash = name.find('/');
  if (slash == std::string::npos || slash == 0 || slash + 1 == name.size()) return false;
  if (name.find('/', slash + 1) != std::string::npos || name.front() == '.' ||
      name[slash + 1] == '.' || name.find("..") != std::string::npos)
    return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '/';
  });
}

bool is_folder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

/// hub/models--owner--name/snapshots/REVISION, the revision that refs/main names, else the only
/// one; empty when there is none.
fs::path hub_snapshot(const std::string& id) {
  std::string folder = "models--" + id;
  folder.replace(folder.find('/'), 1, "--");
  const fs::path root = hub_cache_folder() / folder;
  const fs::path main = root / "refs" / "main";
  std::error_code error;
  if (fs::is_regular_file(main, error)) {
    std::string revision = read_whole_file(main, 256);
    while (!revision.empty() && (revision.back() == '\n' || revision.back() == ' '))
      revision.pop_back();
    const bool plain = !revision.empty() && revision.find('/') == std::string::npos &&
                       revision != "." && revision != "..";
    if (plain && is_folder(root / "snapshots" / revision)) return root / "snapshots" / revision;
  }
  std::vector<fs::path> snapshots;
  for (fs::directory_iterator it(root / "snapshots", error), end; !error && it != end;
       it.increment(error))
    if (is_folder(it->path())) snapshots.push_back(it->path());
  return snapshots.size() == 1 ? snapshots[0] : fs::path();
}

/// Something in models/ beside the program (a build tree) or installed with it.
fs::path bundled(const char* name, const char* flag) {
  const fs::path program = executable_path().parent_path();
  const fs::path places[] = {program / "models" / name,
                             program.parent_path() / "share" / "bit-axon" / "models" / name};
  std::error_code error;
  for (const fs::path& place : places)
    if (fs::exists(place, error)) return place;
  throw Error(
      ErrorKind::io,
      fmt::format("bundled {0}: expected at {1} or {2}, found at neither; name a {0} with "
                  "--{0}",
                  flag, printable_path(places[0].string()), printable_path(places[1].string())));
}

}  // namespace

fs::path hub_cache_folder() {
  if (const auto cache = environment_path("HF_HUB_CACHE")) return *cache;
  if (const auto home = environment_path("HF_HOME")) return *home / "hub";
  return cache_folder() / "huggingface" / "hub";
}

fs::path bundled_model_folder() { return bundled("tiny-shakespeare", "model"); }

fs::path bundled_text() { return bundled("texts/king-james.txt", "text"); }

ModelSource find_model(const std::string& name) {
  if (name.empty()) {
    const fs::path snapshot = hub_snapshot(kDefaultRepository);
    if (!snapshot.empty())
      return {model_files(snapshot),
              fmt::format("model: {} from the hub cache", kDefaultRepository)};
    return {
        model_files(bundled_model_folder()),
        "model: the bundled tiny-shakespeare (2.2 M parameters, no chat); --model names another"};
  }
  std::error_code error;
  if (fs::exists(name, error)) return {model_files(name), ""};
  if (is_hub_id(name)) {
    const fs::path snapshot = hub_snapshot(name);
    if (!snapshot.empty()) return {model_files(snapshot), ""};
    throw Error(
        ErrorKind::io,
        fmt::format("--model {}: expected a path or a model in the hub cache, found neither "
                    "here nor under {}",
                    name, printable_path(hub_cache_folder().string())));
  }
  throw Error(ErrorKind::io,
              fmt::format("--model {}: expected a model directory, a safetensors file or a hub id "
                          "owner/name, found nothing there",
                          printable(name)));
}

}  // namespace bitaxon::tool
