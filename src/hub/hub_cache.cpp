#include "hub/hub_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <vector>

#include "bitaxon/error.h"
#include "platform/file.h"
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

}  // namespace

fs::path hub_home_folder() {
  if (const auto home = environment_path("HF_HOME")) return *home;
  return cache_folder() / "huggingface";
}

fs::path hub_cache_folder() {
  return environment_path("HF_HUB_CACHE").value_or(hub_home_folder() / "hub");
}

CachedRepository::CachedRepository(const std::string& repository)
    : root_(hub_cache_folder() / folder_name(repository)),
      locks_(hub_cache_folder() / ".locks" / folder_name(repository)) {}

fs::path CachedRepository::find_snapshot() const {
  const fs::path main = root_ / "refs" / "main";
  std::error_code error;
  if (fs::is_regular_file(main, error)) {
    std::string commit = read_whole_file(main, 256);
    while (!commit.empty() && (commit.back() == '\n' || commit.back() == ' ')) commit.pop_back();
    const bool plain =
        !commit.empty() && commit.find('/') == std::string::npos && commit != "." && commit != "..";
    if (plain && is_folder(snapshot(commit))) return snapshot(commit);
  }
  std::vector<fs::path> snapshots;
  for (fs::directory_iterator it(root_ / "snapshots", error), end; !error && it != end;
       it.increment(error))
    if (is_folder(it->path())) snapshots.push_back(it->path());
  return snapshots.size() == 1 ? snapshots[0] : fs::path();
}

void CachedRepository::link(const std::string& commit, const std::string& path,
                            const std::string& id) const {
  make_folders(snapshot(commit));
  const fs::path place = make_way(snapshot(commit), path);
  fs::path target = fs::path("..") / ".." / "blobs" / id;
  for (auto n = std::count(path.begin(), path.end(), '/'); n > 0; --n) target = ".." / target;
  std::error_code error;
  if (fs::read_symlink(place, error) == target) return;
  const fs::path temporary = root_ / fmt::format(".{}.{:08x}.tmp", id, std::random_device()());
  fs::create_symlink(target, temporary, error);
  if (error) fail(temporary, "cannot make a link", error);
  fs::rename(temporary, place, error);
  if (!error) return;
  std::error_code ignored;
  fs::remove(temporary, ignored);
  fail(place, "cannot make a link", error);
}

void CachedRepository::write_ref(const std::string& revision, const std::string& commit) const {
  make_folders(root_ / "refs");
  AtomicFile file(make_way(root_ / "refs", revision));
  file.write(commit);
  file.commit();
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
