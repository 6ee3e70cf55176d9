#include "hub_cache/hub_cache.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <map>
#include <optional>
#include <random>
#include <string_view>

#include "bitaxon/error.h"
#include "platform/file.h"
#include "platform/optional_file.h"
#include "platform/paths.h"
#include "platform/printable.h"
#include "platform/sync.h"

namespace bitaxon::hub {
namespace {

namespace fs = std::filesystem;

bool is_folder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

[[noreturn]] void fail(const fs::path& path, const char* what, const std::error_code& error) {
  throw Error(ErrorKind::io,
              fmt::format("{}: {}: {}", printable_path(path.string()), what, error.message()));
}

std::string folder_name(const std::string& repository, RepositoryKind kind) {
  std::string name = (kind == RepositoryKind::model ? "models--" : "datasets--") + repository;
  name.replace(name.find('/'), 1, "--");
  return name;
}

void move_to(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  if (error) fail(to, "cannot rename to it", error);
}

/// The target of the symbolic link for a file, relative to the file's folder in the snapshot.
fs::path target_of(const Snapshot::File& file) {
  fs::path target = fs::path("..") / ".." / "blobs" / file.id;
  for (auto n = std::ranges::count(file.path, '/'); n > 0; --n) target = ".." / target;
  return target;
}

bool is_plain_file(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(fs::symlink_status(path, error));
}

/// Prefix of the names of temporary folders.
constexpr std::string_view kUnfinished = ".unfinished";

/// A temporary folder. Its name is random, because without locks several processes may work at
/// once.
class UnfinishedFolder {
 public:
  explicit UnfinishedFolder(const fs::path& root)
      : path_(root / fmt::format("{}.{:08x}", kUnfinished, std::random_device()())) {
    make_folders(path_);
  }
  UnfinishedFolder(const UnfinishedFolder&) = delete;
  UnfinishedFolder& operator=(const UnfinishedFolder&) = delete;
  ~UnfinishedFolder() {
    std::error_code error;
    fs::remove_all(path_, error);
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

/// The order in which files are added to a snapshot that other processes can see already.
/// config.json is last, because a snapshot counts as a model only with that file.
std::vector<Snapshot::File> config_last(std::vector<Snapshot::File> files) {
  std::stable_partition(files.begin(), files.end(),
                        [](const Snapshot::File& file) { return file.path != "config.json"; });
  return files;
}

/// The commit that the file of a branch or tag holds. Empty when there is no such file.
std::string read_ref(const fs::path& file) {
  constexpr std::uint64_t kMaxBytes = 256;
  refuse_broken_link(file);
  std::error_code error;
  if (!fs::is_regular_file(file, error)) return {};
  std::string commit = read_whole_file(file, kMaxBytes);
  commit.erase(commit.find_last_not_of(" \r\n") + 1);
  return commit;
}

/// The path in an environment variable, with "~" and variables expanded. Empty when the variable is
/// unset or "".
std::optional<fs::path> user_path(const char* variable) {
  const auto path = environment_path(variable);
  return path ? std::optional<fs::path>(expand_path(path->string())) : std::nullopt;
}

}  // namespace

fs::path hub_home_folder() {
  if (const auto home = user_path("HF_HOME")) return *home;
  return user_path("XDG_CACHE_HOME").value_or(home_folder() / ".cache") / "huggingface";
}

fs::path hub_cache_folder() {
  if (const auto cache = user_path("HF_HUB_CACHE")) return *cache;
  return user_path("HUGGINGFACE_HUB_CACHE").value_or(hub_home_folder() / "hub");
}

fs::path hub_token_file() {
  return user_path("HF_TOKEN_PATH").value_or(hub_home_folder() / "token");
}

bool is_true_variable(const char* name) {
  const char* value = std::getenv(name);
  std::string text = value == nullptr ? "" : value;
  for (char& c : text)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return text == "1" || text == "ON" || text == "YES" || text == "TRUE";
}

CachedRepository::CachedRepository(const std::string& repository, RepositoryKind kind)
    : root_(hub_cache_folder() / folder_name(repository, kind)),
      locks_(hub_cache_folder() / ".locks" / folder_name(repository, kind)) {}

fs::path CachedRepository::find_snapshot() const {
  const std::string commit = read_ref(ref("main"));
  const bool plain =
      !commit.empty() && commit.find('/') == std::string::npos && commit != "." && commit != "..";
  if (plain && is_folder(snapshot(commit))) return snapshot(commit);
  const std::vector<fs::path> all = snapshots();
  return all.size() == 1 ? all[0] : fs::path();
}

std::vector<fs::path> CachedRepository::snapshots() const {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator it(root_ / "snapshots", error), end; !error && it != end;
       it.increment(error))
    if (is_folder(it->path())) found.push_back(it->path());
  return found;
}

bool CachedRepository::has(const Snapshot& wanted) const {
  return std::ranges::all_of(
             wanted.files,
             [&](const Snapshot::File& file) { return has_file(wanted.commit, file); }) &&
         (wanted.revision.empty() || read_ref(ref(wanted.revision)) == wanted.commit);
}

bool CachedRepository::has_file(const std::string& commit, const Snapshot::File& file) const {
  std::error_code error;
  return has_plain(commit, file) ||
         fs::equivalent(snapshot(commit) / file.path, blobs() / file.id, error);
}

bool CachedRepository::has_plain(const std::string& commit, const Snapshot::File& file) const {
  const fs::path place = snapshot(commit) / file.path;
  std::error_code error;
  return is_plain_file(place) && is_readable(place) &&
         fs::file_size(place, error) == file.size_bytes && !error;
}

bool CachedRepository::can_link(const DiskCalls& calls) const {
  if (is_true_variable("HF_HUB_DISABLE_SYMLINKS")) return false;
  constexpr int kMaxTries = 3;  // another process may remove the folder as abandoned
  for (int n_tries = 0; n_tries < kMaxTries; ++n_tries) {
    const UnfinishedFolder folder(root_);
    if (calls.symlink("nowhere", (folder.path() / "link").c_str()) == 0) return true;
    if (errno != ENOENT) return false;
  }
  return false;
}

void CachedRepository::add(const Snapshot& wanted, const DiskCalls& calls) const {
  const UnfinishedFolder unfinished(root_);
  if (can_link(calls))
    add_links(wanted, unfinished.path(), calls);
  else
    add_files(wanted, unfinished.path());
  if (!wanted.revision.empty()) write_ref(wanted.revision, wanted.commit, unfinished.path());
}

void CachedRepository::add_links(const Snapshot& wanted, const fs::path& unfinished,
                                 const DiskCalls& calls) const {
  const fs::path place = snapshot(wanted.commit);
  std::error_code error;
  const bool is_new = !fs::exists(fs::symlink_status(place, error));
  const fs::path folder = is_new ? unfinished / "snapshot" : place;
  make_folders(folder);
  for (const Snapshot::File& file : config_last(wanted.files)) {
    const fs::path link = make_way(folder, file.path);
    if (has_file(wanted.commit, file) || fs::read_symlink(link, error) == target_of(file)) continue;
    const fs::path temporary = unfinished / "link";
    if (calls.symlink(target_of(file).c_str(), temporary.c_str()) != 0)
      fail(temporary, "cannot make a link", std::error_code(errno, std::generic_category()));
    move_to(temporary, link);
  }
  if (!is_new) return;
  make_folders(place.parent_path());
  sync_tree(folder);
  fs::rename(folder, place, error);
  if (!error) return sync_parent(place);
  // Without locks another process may have made the snapshot first.
  if (!is_folder(place)) fail(place, "cannot rename to it", error);
  add_links(wanted, unfinished, calls);
}

void CachedRepository::add_files(const Snapshot& wanted, const fs::path& unfinished) const {
  const std::set<std::string> linked = linked_blobs();
  std::map<std::string, fs::path> placed;  // id to the path of a file with these contents
  for (const Snapshot::File& file : wanted.files)
    if (has_plain(wanted.commit, file)) placed[file.id] = snapshot(wanted.commit) / file.path;
  make_folders(snapshot(wanted.commit));
  for (const Snapshot::File& file : config_last(wanted.files)) {
    if (has_plain(wanted.commit, file)) continue;
    const fs::path place = make_way(snapshot(wanted.commit), file.path);
    const fs::path blob = blobs() / file.id;
    if (is_plain_file(blob) && !linked.contains(file.id)) {
      // No link needs the blob, and two copies would take twice the space.
      move_to(blob, place);
    } else {
      const fs::path temporary = unfinished / "file";
      std::error_code error;
      const auto other = placed.find(file.id);
      fs::copy_file(other == placed.end() ? blob : other->second, temporary, error);
      if (error) fail(temporary, "cannot copy a file to it", error);
      sync_tree(unfinished);
      move_to(temporary, place);
    }
    placed[file.id] = place;
  }
  sync_tree(snapshot(wanted.commit));
}

/// The ids of the blobs that links of snapshots lead to.
std::set<std::string> CachedRepository::linked_blobs() const {
  std::set<std::string> linked;
  std::error_code error;
  for (fs::recursive_directory_iterator it(root_ / "snapshots", error), end; !error && it != end;
       it.increment(error)) {
    std::error_code no_link;
    const fs::path target = fs::read_symlink(it->path(), no_link);
    if (!no_link) linked.insert(target.filename().string());
  }
  return linked;
}

void CachedRepository::refuse_unwritable_for(const Snapshot& wanted) const {
  refuse_unwritable(blobs() / "blob");
  refuse_unwritable(root_ / kUnfinished);
  for (const Snapshot::File& file : wanted.files)
    if (!has_file(wanted.commit, file)) refuse_unwritable(snapshot(wanted.commit) / file.path);
  if (!wanted.revision.empty() && read_ref(ref(wanted.revision)) != wanted.commit)
    refuse_unwritable(ref(wanted.revision));
}

void CachedRepository::remove_unfinished() const {
  std::error_code error;
  for (fs::directory_iterator it(root_, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    if (it->path().filename().string().starts_with(kUnfinished))
      fs::remove_all(it->path(), ignored);
  }
}

void CachedRepository::write_ref(const std::string& revision, const std::string& commit,
                                 const fs::path& unfinished) const {
  if (read_ref(ref(revision)) == commit) return;
  make_folders(root_ / "refs");
  const fs::path temporary = unfinished / "ref";
  write_text_file(temporary, commit);
  move_to(temporary, make_way(root_ / "refs", revision));
}

fs::path make_way(const fs::path& root, const std::string& path) {
  fs::path place = root;
  std::error_code error;
  const fs::path parent = fs::path(path).parent_path();
  for (const fs::path& part : parent) {
    place /= part;
    fs::create_directory(place, error);
    const fs::file_status status = fs::symlink_status(place, error);
    if (fs::is_directory(status)) continue;
    throw Error(ErrorKind::io,
                fmt::format("{}: expected a folder, got {}", printable_path(place.string()),
                            fs::is_symlink(status) ? "a link"
                            : fs::exists(status)   ? "a file"
                                                   : "nothing, and it cannot be made"));
  }
  return root / path;
}

void make_folders(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (!is_folder(folder)) {
    if (!error) error = std::make_error_code(std::errc::not_a_directory);
    fail(folder, "cannot make the folder", error);
  }
}

bool is_readable(const fs::path& path) {
  return ::faccessat(AT_FDCWD, path.c_str(), R_OK, AT_EACCESS) == 0;
}

void refuse_unwritable(const fs::path& place) {
  std::error_code error;
  fs::path folder = fs::absolute(place, error).parent_path();
  while (!fs::exists(folder, error) && folder.has_relative_path()) folder = folder.parent_path();
  if (::faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) != 0)
    fail(folder, "cannot write into the folder", std::error_code(errno, std::generic_category()));
}

}  // namespace bitaxon::hub
