#include "model_source.h"

#include <fmt/format.h>

#include "bitaxon/error.h"
#include "hub/hub_cache.h"
#include "hub/hub_names.h"
#include "platform/paths.h"
#include "platform/printable.h"

namespace bitaxon::tool {
namespace {

namespace fs = std::filesystem;

bool is_folder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

}  // namespace

fs::path bundled_model_folder() {
  const fs::path program = executable_path().parent_path();
  const fs::path places[] = {
      program / "models" / "tiny-shakespeare",
      program.parent_path() / "share" / "bit-axon" / "models" / "tiny-shakespeare"};
  for (const fs::path& place : places)
    if (is_folder(place)) return place;
  throw Error(ErrorKind::io,
              fmt::format("bundled model: expected at {} or {}, found at neither; "
                          "name a model with --model",
                          printable_path(places[0].string()), printable_path(places[1].string())));
}

ModelSource find_model(const std::string& name) {
  if (name.empty()) {
    const fs::path snapshot = hub::CachedRepository(kDefaultRepository).find_snapshot();
    if (!snapshot.empty())
      return {model_files(snapshot),
              fmt::format("model: {} from the hub cache", kDefaultRepository)};
    return {
        model_files(bundled_model_folder()),
        "model: the bundled tiny-shakespeare (2.2 M parameters, no chat); --model names another"};
  }
  std::error_code error;
  if (fs::exists(name, error)) return {model_files(name), ""};
  if (hub::is_repository(name)) {
    const fs::path snapshot = hub::CachedRepository(name).find_snapshot();
    if (!snapshot.empty()) return {model_files(snapshot), ""};
    throw Error(
        ErrorKind::io,
        fmt::format("--model {}: expected a path or a model in the hub cache, found neither "
                    "here nor under {}; `bit-axon download {}` fetches it",
                    name, printable_path(hub::hub_cache_folder().string()), name));
  }
  throw Error(ErrorKind::io,
              fmt::format("--model {}: expected a model directory, a safetensors file or a hub id "
                          "owner/name, found nothing there",
                          printable(name)));
}

}  // namespace bitaxon::tool
