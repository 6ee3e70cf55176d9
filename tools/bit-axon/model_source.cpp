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

fs::path bundled_model_folder() { return bundled("tiny-shakespeare", "model"); }

fs::path bundled_text() { return bundled("texts/king-james.txt", "text"); }

ModelSource find_model(const std::string& name, std::string_view argument) {
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
        fmt::format("{} {}: expected a path or a model in the hub cache, found neither "
                    "here nor under {}; `bit-axon download {}` fetches it",
                    argument, name, printable_path(hub::hub_cache_folder().string()), name));
  }
  throw Error(ErrorKind::io,
              fmt::format("{} {}: expected a model directory, a safetensors file or a hub id "
                          "owner/name, found nothing there",
                          argument, printable(name)));
}

}  // namespace bitaxon::tool
