#include "model/adapter_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string>
#include <system_error>
#include <vector>

#include "bitaxon/error.h"
#include "formats/foreign_format.h"
#include "platform/optional_file.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

namespace fs = std::filesystem;

constexpr const char* kEnding = ".safetensors";
constexpr const char* kAdapterName = "adapters.safetensors";
/// The file name of PEFT adapters. lora.cpp refuses their layout with a message of its own.
constexpr const char* kPeftName = "adapter_model.safetensors";
constexpr const char* kOptimizerName = "optimizer_state.safetensors";

[[noreturn]] void fail(const fs::path& path, std::string_view what) {
  throw Error(ErrorKind::io, fmt::format("{}: {}", printable_path(path.string()), what));
}

std::vector<fs::path> sorted_entries(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    entries.push_back(it->path());
  if (error) fail(folder, fmt::format("cannot list the folder: {}", error.message()));
  std::sort(entries.begin(), entries.end());
  return entries;
}

/// Says what a folder without an adapter holds, for the end of a message.
std::string what_is_there(const fs::path& folder, const std::vector<fs::path>& entries) {
  if (const std::string other = foreign_files(folder); !other.empty())
    return fmt::format(", found {}, which is not read", other);
  std::error_code error;
  // The newest checkpoint of a training run has the greatest name.
  for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry)
    if (fs::exists(*entry / kAdapterName, error))
      return fmt::format(", found one in {}", printable_path(entry->string()));
  return ", found none";
}

fs::path adapter_of_folder(const fs::path& folder) {
  const std::vector<fs::path> entries = sorted_entries(folder);
  std::vector<fs::path> files;
  for (const fs::path& entry : entries) {
    const std::string name = entry.filename().string();
    if (name.ends_with(kEnding) && !name.starts_with('.') && name != kOptimizerName)
      files.push_back(entry);
  }
  for (const char* name : {kAdapterName, kPeftName})
    if (std::ranges::find(files, folder / name) != files.end()) return folder / name;
  if (files.size() == 1) return files.front();
  if (files.empty())
    fail(folder,
         fmt::format("expected {} in this folder{}", kAdapterName, what_is_there(folder, entries)));
  std::vector<std::string> names;
  for (const fs::path& file : files) names.push_back(printable(file.filename().string()));
  fail(folder, fmt::format("expected {} in this folder, found {}; name the file itself",
                           kAdapterName, fmt::join(names, ", ")));
}

}  // namespace

fs::path find_adapter(const fs::path& path) {
  std::error_code error;
  const auto status = fs::status(path, error);
  if (fs::is_directory(status)) return adapter_of_folder(path);
  if (fs::exists(fs::symlink_status(path, error))) return path;
  if (fs::path named = path.string() + kEnding; optional_file_exists(named)) return named;
  fail(path, "expected an adapter's safetensors file or its folder, found nothing there");
}

}  // namespace bitaxon
