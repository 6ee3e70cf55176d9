#include "hub_cache/cached_dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <set>
#include <string_view>

#include "bitaxon/error.h"
#include "hub_cache/hub_cache.h"
#include "hub_cache/hub_names.h"
#include "platform/optional_file.h"
#include "platform/printable.h"

namespace bitaxon::hub {
namespace {

namespace fs = std::filesystem;

/// The endings of files with rows, the preferred ones first.
constexpr std::array<std::string_view, 4> kEndings = {".jsonl", ".json", ".parquet", ".arrow"};

std::size_t rank_of(const fs::path& file) {
  return static_cast<std::size_t>(std::ranges::find(kEndings, file.extension().string()) -
                                  kEndings.begin());
}

[[noreturn]] void fail(const std::string& repository, const std::string& what) {
  throw Error(ErrorKind::io, fmt::format("data set {}: {}", printable(repository), what));
}

fs::path snapshot_of(const std::string& repository) {
  const fs::path snapshot = CachedRepository(repository, RepositoryKind::dataset).find_snapshot();
  if (snapshot.empty())
    fail(repository,
         fmt::format("expected a local file or a data set in the hub cache, found neither here nor "
                     "under {0}; `hf download {1} --repo-type dataset` fetches it",
                     printable_path(hub_cache_folder().string()), repository));
  return snapshot;
}

/// The files with rows below a folder, in order.
std::vector<fs::path> row_files(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error))
    if (rank_of(it->path()) < kEndings.size() && fs::is_regular_file(it->path()))
      files.push_back(it->path());
  std::ranges::sort(files);
  return files;
}

bool is_separator(char c) { return c == '-' || c == '.' || c == '_'; }

/// How well a file fits a split: 2 if its name begins with the split, 1 if the split is a part of its
/// name or of its path below the snapshot, else 0.
int fit(const fs::path& file, const fs::path& snapshot, const std::string& split) {
  const std::string name = file.stem().string();
  if (name == split || name.starts_with(split + "-") || name.starts_with(split + ".")) return 2;
  for (const fs::path& part : file.lexically_relative(snapshot).parent_path())
    if (part == split) return 1;
  for (std::size_t at = 0; (at = name.find(split, at)) != name.npos; ++at) {
    const bool begins = at == 0 || is_separator(name[at - 1]);
    const bool ends = at + split.size() == name.size() || is_separator(name[at + split.size()]);
    if (begins && ends) return 1;
  }
  return 0;
}

/// The number of parts that the name of a file tells, such as 2 of "train-00000-of-00002". 0 if it
/// tells none.
std::size_t parts_of(const fs::path& file) {
  const std::string name = file.stem().string();
  const std::size_t at = name.rfind("-of-");
  std::size_t n = 0;
  if (at != name.npos) std::from_chars(name.data() + at + 4, name.data() + name.size(), n);
  return n;
}

/// Keeps the elements with the greatest value.
template <class Value>
void keep_best(std::vector<fs::path>& files, const Value& value) {
  if (files.empty()) return;
  const auto best = value(*std::ranges::max_element(files, {}, value));
  std::erase_if(files, [&](const fs::path& file) { return value(file) != best; });
}

void check_folder_and_parts(const std::string& repository, const std::vector<fs::path>& files,
                            const fs::path& snapshot) {
  std::set<fs::path> folders;
  for (const fs::path& file : files) folders.insert(file.parent_path());
  if (folders.size() > 1)
    fail(repository,
         fmt::format("expected the split in one folder, found {} and {} others; name a file: {}:{}",
                     printable_path(files[0].lexically_relative(snapshot).string()),
                     folders.size() - 1, repository,
                     printable_path(files[0].lexically_relative(snapshot).string())));
  const std::size_t n_parts = parts_of(files[0]);
  if (n_parts != 0 && n_parts != files.size())
    fail(repository, fmt::format("expected {} parts of the split, as the names of its files say, "
                                 "found {}; download the data set again",
                                 n_parts, files.size()));
}

}  // namespace

fs::path cached_dataset_file(const std::string& repository, const std::string& path) {
  if (const std::string problem = path_problem(path); !problem.empty())
    fail(repository, fmt::format("expected the name of a file in it, got {} in \"{}\"", problem,
                                 printable(path)));
  const fs::path file = snapshot_of(repository) / path;
  if (!optional_file_exists(file))
    fail(repository, fmt::format("expected a file \"{}\", found none in {}", printable(path),
                                 printable_path(file.parent_path().string())));
  return file;
}

std::vector<fs::path> cached_dataset_split(const std::string& repository,
                                           const std::string& split) {
  const fs::path snapshot = snapshot_of(repository);
  const std::vector<fs::path> all = row_files(snapshot);
  std::vector<fs::path> files = all;
  const auto fits = [&](const fs::path& file) { return fit(file, snapshot, split); };
  std::erase_if(files, [&](const fs::path& file) { return fits(file) == 0; });
  if (files.empty() && split == "train" && all.size() == 1) files = all;
  if (files.empty())
    fail(repository, fmt::format("expected a file of the split \"{}\", found none of {} files",
                                 printable(split), all.size()));
  keep_best(files, fits);
  keep_best(files, [](const fs::path& file) { return kEndings.size() - rank_of(file); });
  check_folder_and_parts(repository, files, snapshot);
  return files;
}

}  // namespace bitaxon::hub
