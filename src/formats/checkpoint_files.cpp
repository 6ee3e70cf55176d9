#include "formats/checkpoint_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <system_error>
#include <utility>

#include "bitaxon/error.h"
#include "formats/foreign_format.h"
#include "formats/json_file.h"
#include "platform/file.h"
#include "platform/optional_file.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kExtension = ".safetensors";
constexpr std::string_view kWholeName = "model.safetensors";
constexpr std::string_view kIndexName = "model.safetensors.index.json";

[[noreturn]] void fail(ErrorKind kind, const fs::path& path, std::string_view what) {
  throw Error(kind, fmt::format("{}: {}", printable_path(path.string()), what));
}

/// The safetensors files of a folder, sorted by name.
std::vector<fs::path> files_by_extension(const fs::path& directory) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    // Other systems make files with a leading dot for their own data, such as
    // ._model.safetensors.
    if (name.ends_with(kExtension) && !name.starts_with('.')) files.push_back(it->path());
  }
  if (error)
    fail(ErrorKind::io, directory, fmt::format("cannot list the folder: {}", error.message()));
  std::sort(files.begin(), files.end());
  return files;
}

WeightMap read_index(const fs::path& index) {
  const Json json = read_json_file(index);
  if (!json.is_object() || !json.contains("weight_map") || !json["weight_map"].is_object())
    fail(ErrorKind::format, index, "expected an object with an object \"weight_map\"");
  WeightMap map;
  for (const auto& [tensor, file] : json["weight_map"].items()) {
    if (!file.is_string())
      fail(ErrorKind::format, index,
           fmt::format("weight_map: expected a file name for \"{}\", got {}", printable(tensor),
                       printable(file.dump(), 60)));
    const std::string& name = file.get_ref<const std::string&>();
    // Only plain file names are accepted, because a path could lead to any file on this machine.
    if (name.empty() || name == "." || name == ".." ||
        name.find_first_of(std::string_view("/\\\0", 3)) != name.npos)
      fail(ErrorKind::format, index,
           fmt::format("weight_map: expected a plain file name for \"{}\", got \"{}\"",
                       printable(tensor), printable(name)));
    map.emplace(tensor, name);
  }
  if (map.empty()) fail(ErrorKind::format, index, "weight_map: expected tensors, got none");
  return map;
}

/// The first missing file of a series such as model-00001-of-00003.safetensors. Empty when the
/// series is complete.
fs::path absent_shard(const std::vector<fs::path>& files) {
  const std::set<fs::path> there(files.begin(), files.end());
  constexpr std::string_view kForm = "-00000-of-00000.safetensors";
  for (const fs::path& file : files) {
    const std::string name = file.filename().string();
    if (name.size() < kForm.size()) continue;
    const std::string stem = name.substr(0, name.size() - kForm.size());
    std::string form = name.substr(stem.size());
    const std::string total = form.substr(10, 5);
    for (char& c : form)
      if (c >= '0' && c <= '9') c = '0';
    if (form != kForm) continue;
    for (int i = 1; i <= std::stoi(total); ++i) {
      fs::path shard =
          file.parent_path() / fmt::format("{}-{:05}-of-{}{}", stem, i, total, kExtension);
      if (!there.contains(shard)) return shard;
    }
  }
  return {};
}

/// Lists the shards of an index. Some shards may be missing, because they may hold only tensors
/// that the model does not need. It is an error if all shards are missing.
CheckpointFiles list_shards(const fs::path& index, WeightMap map) {
  CheckpointFiles listing{.index = index};
  std::set<std::string> names, absent;
  for (const auto& [tensor, name] : map) names.insert(name);
  for (const std::string& name : names) {
    if (optional_file_exists(index.parent_path() / name))
      listing.files.push_back(index.parent_path() / name);
    else
      absent.insert(name);
  }
  for (const auto& [tensor, name] : map)
    if (absent.contains(name)) listing.absent.emplace(tensor, name);
  if (listing.files.empty())
    fail(ErrorKind::io, index,
         fmt::format("names the file \"{}\", which is not there: the download looks incomplete",
                     printable(*absent.begin())));
  if (!absent.empty())
    listing.warnings.push_back(
        fmt::format("{}: {} of its {} files {} not there, the first is \"{}\"",
                    printable_path(index.string()), absent.size(), names.size(),
                    absent.size() == 1 ? "is" : "are", printable(*absent.begin())));
  listing.map = std::move(map);
  return listing;
}

}  // namespace

CheckpointFiles list_checkpoint_files(const fs::path& file_or_directory) {
  std::error_code error;
  if (!fs::is_directory(file_or_directory, error)) return {.files = {file_or_directory}};
  const fs::path whole = file_or_directory / kWholeName, index = file_or_directory / kIndexName;
  if (!optional_file_exists(index)) {
    CheckpointFiles listing{.files = files_by_extension(file_or_directory)};
    if (listing.files.empty()) {
      const std::string other = foreign_files(file_or_directory);
      fail(ErrorKind::io, file_or_directory,
           fmt::format("there is no *.safetensors in this folder{}",
                       other.empty() ? ""
                                     : fmt::format(", but {}, which is not read; {}", other,
                                                   kFormatsThatRun)));
    }
    listing.absent_shard = absent_shard(listing.files);
    if (!listing.absent_shard.empty())
      listing.warnings.push_back(fmt::format("{}: this shard of the model is not there",
                                             printable_path(listing.absent_shard.string())));
    return listing;
  }
  WeightMap map = read_index(index);
  const bool is_shard =
      std::ranges::any_of(map, [](const auto& entry) { return entry.second == kWholeName; });
  if (is_shard || !optional_file_exists(whole)) return list_shards(index, std::move(map));
  // A program that saves a model as one file may leave the index of earlier shards in the folder.
  return {.files = {whole},
          .warnings = {fmt::format("{}: ignored, because it does not name {}, which is next to it",
                                   printable_path(index.string()), kWholeName)}};
}

std::string CheckpointFiles::owner_of(const std::string& tensor) const {
  const auto entry = map.find(tensor);
  return entry == map.end() ? std::string(kWholeName) : entry->second;
}

void CheckpointFiles::refuse_absent(std::string_view tensor) const {
  if (!absent_shard.empty())
    fail(ErrorKind::io, absent_shard,
         fmt::format("this shard is not there, nor is tensor \"{}\" in the others: the download "
                     "looks incomplete",
                     printable(tensor)));
  if (const auto entry = absent.find(tensor); entry != absent.end())
    fail(ErrorKind::io, index,
         fmt::format("names the file \"{}\" for tensor \"{}\", which is not there: the download "
                     "looks incomplete",
                     printable(entry->second), printable(tensor)));
}

}  // namespace bitaxon
