#include "hub/hub_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>

#include "bitaxon/error.h"
#include "platform/file.h"
#include "platform/optional_file.h"
#include "platform/paths.h"
#include "platform/printable.h"

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

std::string folder_name(const std::string& repository) {
  std::string name = "models--" + repository;
  name.replace(name.find('/'), 1, "--");
  return name;
}

void move_to(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  if (error) fail(to, "cannot rename to it", error);
}

/// What a link's file says, from wherever in the snapshot it is.
fs::path target_of(const Snapshot::Link& link) {
  fs::path target = fs::path("..") / ".." / "blobs" / link.id;
  for (auto n = std::ranges::count(link.path, '/'); n > 0; --n) target = ".." / target;
  return target;
}

/// The commit that is in the file of a branch or tag; empty without one.
std::string read_ref(const fs::path& file) {
  constexpr std::uint64_t kMaxBytes = 256;
  refuse_broken_link(file);
  std::error_code error;
  if (!fs::is_regular_file(file, error)) return {};
  std::string commit = read_whole_file(file, kMaxBytes);
  commit.erase(commit.find_last_not_of(" \r\n") + 1);
  return commit;
}

/// A path that the user's environment has, with "~" for the home folder as the hub's tools allow
/// it.
std::optional<fs::path> user_path(const char* variable) {
  const auto path = environment_path(variable);
  if (!path || *path->begin() != "~") return path;
  fs::path expanded = home_folder();
  for (auto part = std::next(path->begin()); part != path->end(); ++part) expanded /= *part;
  return expanded;
}

}  // namespace

fs::path hub_home_folder() { return user_path("HF_HOME").value_or(cache_folder() / "huggingface"); }

fs::path hub_cache_folder() {
  return user_path("HF_HUB_CACHE").value_or(hub_home_folder() / "hub");
}

fs::path hub_token_file() {
  return user_path("HF_TOKEN_PATH").value_or(hub_home_folder() / "token");
}

CachedRepository::CachedRepository(const std::string& repository)
    : root_(hub_cache_folder() / folder_name(repository)),
      locks_(hub_cache_folder() / ".locks" / folder_name(repository)) {}

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
  std::error_code error;
  return std::ranges::all_of(wanted.links,
                             [&](const Snapshot::Link& link) {
                               const fs::path place = snapshot(wanted.commit) / link.path;
                               return fs::read_symlink(place, error) == target_of(link);
                             }) &&
         (wanted.revision.empty() || read_ref(ref(wanted.revision)) == wanted.commit);
}

void CachedRepository::add(const Snapshot& wanted) const {
  std::error_code error;
  fs::remove_all(unfinished(), error);
  make_folders(unfinished());
  const fs::path place = snapshot(wanted.commit);
  const bool is_new = !fs::exists(fs::symlink_status(place, error));
  const fs::path folder = is_new ? unfinished() / "snapshot" : place;
  if (is_new) make_folders(folder);
  for (const bool is_last : {false, true})
    for (const Snapshot::Link& link : wanted.links)
      if ((link.path == "config.json") == is_last) make_link(folder, link);
  if (is_new) {
    make_folders(place.parent_path());
    move_to(folder, place);
  }
  if (!wanted.revision.empty()) write_ref(wanted.revision, wanted.commit);
  fs::remove_all(unfinished(), error);
}

void CachedRepository::make_link(const fs::path& folder, const Snapshot::Link& link) const {
  const fs::path place = make_way(folder, link.path);
  std::error_code error;
  if (fs::read_symlink(place, error) == target_of(link)) return;
  const fs::path temporary = unfinished() / "link";
  fs::create_symlink(target_of(link), temporary, error);
  if (error) fail(temporary, "cannot make a link", error);
  move_to(temporary, place);
}

void CachedRepository::write_ref(const std::string& revision, const std::string& commit) const {
  if (read_ref(ref(revision)) == commit) return;
  make_folders(root_ / "refs");
  const fs::path temporary = unfinished() / "ref";
  AtomicFile file(temporary);
  file.write(commit);
  file.commit();
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
                                                   : "nothing that can be made"));
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

}  // namespace bitaxon::hub
