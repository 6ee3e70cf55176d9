#include "session/model_source.h"

#include <fmt/format.h>

#include <string_view>

#include "bitaxon/error.h"
#include "bitaxon/session.h"
#include "formats/safetensors.h"
#include "hub_cache/hub_cache.h"
#include "hub_cache/hub_names.h"
#include "model/adapter_file.h"
#include "model/adapter_metadata.h"
#include "model/base_hash.h"
#include "model/model_folder.h"
#include "model/weights.h"
#include "platform/optional_file.h"
#include "platform/paths.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

namespace fs = std::filesystem;

/// The path of a file or folder of models/. If it is missing, the message calls it a `what` and
/// says that `argument` can name another one.
fs::path bundled(const char* name, const char* what, std::string_view argument) {
  const fs::path installed = fs::path("share") / "bit-axon" / "models" / name;
  // The library comes first: another release may be installed next to the program, for example next
  // to the Python interpreter. In a program that links the archive, both are the same file.
  const fs::path library = module_path().parent_path();
  const fs::path program = executable_path().parent_path();
  const fs::path places[] = {
      library / "models" / name, library.parent_path() / installed,
      // The extension module of the Python package is in the folder that has share/.
      library / installed,
      // The shared library is in lib, or in a folder such as lib/x86_64-linux-gnu.
      library.parent_path().parent_path() / installed, program / "models" / name,
      program.parent_path() / installed};
  for (const fs::path& place : places)
    if (optional_file_exists(place)) return place;
  throw Error(ErrorKind::io,
              fmt::format("bundled {0}: expected at {1} or {2}, found at neither; name a {0} with "
                          "{3}",
                          what, printable_path(places[0].string()),
                          printable_path(places[1].string()), argument));
}

/// A model in the hub cache.
struct CachedModel {
  fs::path folder;      ///< the model's snapshot; empty if there is none
  std::string problem;  ///< why the model cannot be loaded; empty if it can be loaded
};

/// Why a snapshot is incomplete; empty if it is complete. Some of its files may never have been
/// fetched, and links may lead to files that were removed.
std::string gap_of(const fs::path& snapshot) {
  try {
    if (!optional_file_exists(snapshot / "config.json"))
      return fmt::format("{}: there is no config.json", printable_path(snapshot.string()));
    for (const char* name : {"tokenizer.json", "tokenizer/tokenizer.json", "tokenizer.model"})
      optional_file_exists(snapshot / name);
    // Shards that the model does not need may be missing.
    const ModelFiles files = model_files(snapshot);
    const Checkpoint checkpoint = open_checkpoint(files);
    std::vector<std::string> unused;
    if (!checkpoint.warnings().empty())
      find_weights(load_spec(files, unused), checkpoint, "", unused);
  } catch (const Error& problem) {
    // Other errors in these files are reported when the model is loaded.
    if (problem.kind() == ErrorKind::io) return problem.what();
  }
  return {};
}

CachedModel find_cached(const std::string& repository) {
  const hub::CachedRepository cached(repository);
  const fs::path snapshot = cached.find_snapshot();
  const std::string cache = printable_path(hub::hub_cache_folder().string());
  if (snapshot.empty()) {
    const std::size_t n = cached.snapshots().size();
    if (n < 2) return {{}, "found neither here nor under " + cache};
    return {
        {},
        fmt::format("found {} of its snapshots under {}, but refs/main names none of them (name "
                    "the folder of one instead)",
                    n, cache)};
  }
  const std::string gap = gap_of(snapshot);
  return {snapshot, gap.empty() ? "" : "found an incomplete one (" + gap + ")"};
}

ModelSource default_model(std::string_view argument, ModelUse use) {
  std::string problem;
  try {
    const CachedModel cached = find_cached(kDefaultRepository);
    if (cached.problem.empty())
      return {model_files(cached.folder),
              fmt::format("model: {} from the hub cache", kDefaultRepository), kDefaultRepository};
    if (!cached.folder.empty())
      problem = fmt::format("; the {} in the hub cache is incomplete", kDefaultRepository);
  } catch (const Error& error) {
    // The user did not ask for the cache's model, so an unreadable cache is not an error.
    if (error.kind() != ErrorKind::io) throw;
    problem = fmt::format("; {}", error.what());
  }
  const char* what = use == ModelUse::chat
                         ? "tiny-chat (2.2 M parameters, a toy that knows one page)"
                         : "tiny-shakespeare (2.2 M parameters, no chat)";
  return {model_files(bundled_model_folder(argument, use)),
          fmt::format("model: the bundled {}; {} names another{}", what, argument, problem), ""};
}

}  // namespace

fs::path bundled_model_folder(std::string_view argument, ModelUse use) {
  return bundled(use == ModelUse::chat ? "tiny-chat" : "tiny-shakespeare", "model", argument);
}

fs::path bundled_text(std::string_view argument) {
  return bundled("texts/king-james.txt", "text", argument);
}

ModelUse use_of_adapter(const fs::path& adapter, ModelUse otherwise) {
  const fs::path file = find_adapter(adapter);
  const auto about =
      read_adapter_metadata(Checkpoint::open(file).metadata(), printable_path(file.string()));
  if (!about || about->base.empty()) return otherwise;
  std::vector<std::string> unused;
  for (const ModelUse use : {ModelUse::text, ModelUse::chat}) {
    const ModelFiles files = model_files(bundled_model_folder("model", use));
    const Checkpoint checkpoint = open_checkpoint(files);
    if (about->base == base_hash(load_spec(files, unused), &checkpoint)) return use;
  }
  return otherwise;
}

ModelSource find_model_files(const std::string& name, std::string_view argument, ModelUse use) {
  if (name.empty()) return default_model(argument, use);
  if (optional_file_exists(name)) return {model_files(name), "", ""};
  if (hub::is_repository(name)) {
    const CachedModel cached = find_cached(name);
    if (cached.problem.empty()) return {model_files(cached.folder), "", name};
    throw Error(ErrorKind::io, fmt::format("{} {}: expected a path or a model in the hub cache, "
                                           "{}; `bit-axon download {}` fetches it",
                                           argument, name, cached.problem, name));
  }
  throw Error(ErrorKind::io,
              fmt::format("{} {}: expected a model directory, a safetensors file or a hub id "
                          "owner/name, found nothing there",
                          argument, printable(name)));
}

fs::path find_tokenizer_path(const std::string& name, std::string_view argument) {
  if (!hub::is_repository(name) || optional_file_exists(name)) return name;
  const fs::path snapshot = hub::CachedRepository(name).find_snapshot();
  if (!snapshot.empty()) return snapshot;
  throw Error(
      ErrorKind::io,
      fmt::format("{2} {0}: expected a path or a repository in the hub cache, found neither here "
                  "nor under {1}; `bit-axon download {0} --include \"tokenizer*\"` fetches it",
                  name, printable_path(hub::hub_cache_folder().string()), argument));
}

}  // namespace bitaxon
