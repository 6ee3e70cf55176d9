#include "bitaxon/model_files.h"

#include <fmt/format.h>

#include "bitaxon/error.h"
#include "formats/pointer_file.h"
#include "platform/file.h"
#include "platform/optional_file.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

/// Refuses the folder of an adapter. Adapters are published in folders that look like model
/// folders.
void refuse_adapter(const ModelFiles& files) {
  std::error_code error;
  if (std::filesystem::exists(files.folder / "config.json", error)) return;
  for (const char* name : {"adapter_config.json", "adapters.safetensors"})
    if (std::filesystem::exists(files.folder / name, error))
      throw Error(ErrorKind::io,
                  fmt::format("{}: expected a model, got an adapter ({}), which has to be merged "
                              "into the model that it was made for",
                              printable_path(files.folder.string()), name));
}

}  // namespace

ModelFiles model_files(const std::filesystem::path& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (std::filesystem::is_directory(status)) return {path, path};
  if (std::filesystem::is_regular_file(status))
    return {path, path.has_parent_path() ? path.parent_path() : std::filesystem::path(".")};
  refuse_broken_link(path);
  throw Error(ErrorKind::io,
              fmt::format("{}: expected a model directory or a safetensors file, got {}",
                          printable_path(path.string()),
                          std::filesystem::exists(status) ? "something else" : "nothing there"));
}

std::string vocab_mapping_of(const std::map<std::string, std::string>& metadata,
                             const ModelFiles& files) {
  const auto entry = metadata.find("vocab_mapping");
  if (entry == metadata.end()) return {};
  if (entry->second.empty())
    throw Error(ErrorKind::format,
                fmt::format("{}: vocab_mapping: expected a map of ids, got an empty text",
                            printable_path(files.weights.string())));
  return entry->second;
}

ModelSpec load_spec(const ModelFiles& files, std::vector<std::string>& warnings,
                    std::string* text) {
  if (!files.config.empty()) {
    if (text != nullptr) *text = files.config;
    return describe_model(files.config, "config", warnings);
  }
  const std::filesystem::path path = files.folder / "config.json";
  refuse_adapter(files);
  const std::string json = read_whole_file(path, std::uint64_t{1} << 20);
  refuse_pointer_or_empty(json, path);
  if (text != nullptr) *text = json;
  return describe_model(json, printable_path(path.string()), warnings);
}

}  // namespace bitaxon
