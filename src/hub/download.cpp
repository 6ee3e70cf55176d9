#include "hub/download.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fnmatch.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <string_view>
#include <thread>
#include <utility>

#include "bitaxon/error.h"
#include "hub/fetch_file.h"
#include "hub/hub_api.h"
#include "hub_cache/hub_cache.h"
#include "hub_cache/hub_names.h"
#include "platform/file_lock.h"
#include "platform/printable.h"

namespace bitaxon::hub {
namespace {

namespace fs = std::filesystem;

void check(const DownloadRequest& request) {
  if (!is_repository(request.repository))
    throw Error(ErrorKind::invalid_argument, fmt::format("REPO: expected owner/name, got \"{}\"",
                                                         printable(request.repository)));
  if (const std::string problem = path_problem(request.revision); !problem.empty())
    throw Error(ErrorKind::invalid_argument,
                fmt::format("--revision: expected a branch, a tag or a commit, got {} (\"{}\")",
                            problem, printable(request.revision)));
}

/// Whether a pattern matches `name`. As in the hub's own tools, "*" also matches slashes, and a
/// pattern that ends with a slash matches everything in that folder.
bool matches(const std::vector<std::string>& globs, const std::string& name) {
  return std::any_of(globs.begin(), globs.end(), [&](std::string glob) {
    if (glob.ends_with('/')) glob += '*';
    return ::fnmatch(glob.c_str(), name.c_str(), FNM_NOESCAPE) == 0;
  });
}

/// The same weights in the formats of other programs, which repositories offer beside safetensors.
const std::vector<std::string> kOtherWeights = {"pytorch_model*.bin",
                                                "original/*.pth",
                                                "consolidated*.pth",
                                                "tf_model*.h5",
                                                "flax_model*.msgpack",
                                                "rust_model.ot",
                                                "*.gguf",
                                                "*.onnx",
                                                "*.onnx_data",
                                                "*.tflite"};

/// Removes weights that this program cannot read, unless there are no others. The user can still
/// name them with --include.
void leave_out_other_weights(std::vector<ListedFile>& files, const DownloadWatch& watch) {
  const bool has_readable = std::ranges::any_of(
      files, [](const ListedFile& file) { return file.name.ends_with(".safetensors"); });
  if (!has_readable) return;
  const auto rest = std::partition(files.begin(), files.end(), [](const ListedFile& file) {
    return !matches(kOtherWeights, file.name);
  });
  const auto n_left_out = files.end() - rest;
  if (n_left_out == 0) return;
  if (watch.note)
    watch.note(
        fmt::format("{} file{} in formats that are not read {} left out, such as \"{}\"; "
                    "--include \"*\" fetches all",
                    n_left_out, n_left_out == 1 ? "" : "s", n_left_out == 1 ? "is" : "are",
                    printable(rest->name)));
  files.erase(rest, files.end());
}

std::vector<ListedFile> choose(const HubListing& listing, const DownloadRequest& request,
                               const DownloadWatch& watch) {
  std::vector<ListedFile> chosen;
  for (const ListedFile& file : listing.files)
    if ((request.include.empty() || matches(request.include, file.name)) &&
        !matches(request.exclude, file.name))
      chosen.push_back(file);
  if (request.include.empty()) leave_out_other_weights(chosen, watch);
  if (chosen.empty())
    throw Error(ErrorKind::io, fmt::format("{} at {}: expected a file{}, got none of its {}",
                                           request.repository, printable(request.revision),
                                           request.include.empty() && request.exclude.empty()
                                               ? ""
                                               : " that --include and --exclude allow",
                                           listing.files.size()));
  return chosen;
}

/// Where a download keeps its files. In the cache, contents are named by their hash. In a local
/// folder, files have their own names, and a subfolder holds unfinished files, at the path that the
/// hub's own tools use.
class Places {
 public:
  Places(const DownloadRequest& request, std::string commit)
      : folder_(request.local_folder), cache_(request.repository), commit_(std::move(commit)) {
    if (!in_cache()) make_folders(folder_);
  }

  /// Creates the folders needed to fetch `files`. Throws Error(io) when one of them is not
  /// writable. Call this only when a file is missing: a complete download may lie in read-only
  /// folders.
  void prepare(const std::vector<HubFile>& files, const Snapshot& snapshot) const {
    if (!in_cache()) {
      for (const HubFile& file : files) refuse_unwritable(target(file));
      make_way(folder_, std::string(kUnderWay) + "/ID");
      return;
    }
    make_folders(cache_.blobs());
    cache_.refuse_unwritable_for(snapshot);
    std::error_code no_lock;  // lock() reports the problem
    fs::create_directories(cache_.locks(), no_lock);
  }

  bool in_cache() const { return folder_.empty(); }
  const CachedRepository& cache() const { return cache_; }
  /// A folder on the file system that receives the download.
  fs::path disk() const { return in_cache() ? cache_.blobs() : folder_; }
  fs::path target(const HubFile& file) const {
    return in_cache() ? cache_.blobs() / file.id : make_way(folder_, file.name);
  }
  fs::path partial(const HubFile& file) const {
    return (in_cache() ? cache_.blobs() : under_way()) / (file.id + ".incomplete");
  }
  fs::path lock(const HubFile& file) const {
    return (in_cache() ? cache_.locks() : under_way()) / (file.id + ".lock");
  }

  /// Whether the complete file is on this machine. In the cache, a file gets its name only after
  /// its contents were checked. In a local folder anybody may have changed the file, so its
  /// contents are checked again.
  bool has(const HubFile& file, const HttpOptions& options) const {
    if (in_cache() && cache_.has_plain(commit_, in_snapshot(file))) return true;
    const fs::path path = target(file);
    std::error_code error;
    const fs::file_status status = fs::symlink_status(path, error);
    if ((!in_cache() && fs::is_symlink(status)) || fs::is_directory(status))
      throw Error(ErrorKind::io, fmt::format("{}: expected a file or nothing, got a {}",
                                             printable_path(path.string()),
                                             fs::is_symlink(status) ? "link" : "folder"));
    if (!fs::is_regular_file(path, error) || fs::file_size(path, error) != file.size_bytes || error)
      return false;
    // A blob that this user may not read is fetched again.
    return in_cache() ? is_readable(path) : has_contents(path, file, options);
  }

  static Snapshot::File in_snapshot(const HubFile& file) {
    return {file.name, file.id, file.size_bytes};
  }

  /// The number of the file's bytes that earlier runs have fetched.
  std::uint64_t partial_bytes(const HubFile& file) const {
    std::error_code error;
    const std::uintmax_t size = fs::file_size(partial(file), error);
    return error || size > file.size_bytes ? 0 : size;
  }

 private:
  static constexpr const char* kUnderWay = ".cache/huggingface/download";

  fs::path under_way() const { return folder_ / kUnderWay; }

  fs::path folder_;
  CachedRepository cache_;
  std::string commit_;
};

class Download {
 public:
  Download(const DownloadRequest& request, const HttpOptions& options, const DownloadWatch& watch,
           const DiskCalls& calls)
      : request_(request),
        watch_(watch),
        calls_(calls),
        server_(HubServer::from_environment()),
        client_(options),
        hub_(client_, server_, request.repository, request.revision, watch.note) {}

  fs::path run() {
    const std::vector<HubFile> files = find_files();
    const Places places(request_, commit_);
    const Snapshot snapshot = snapshot_of(files);
    const std::vector<HubFile> missing = find_missing(files, places);
    if (!missing.empty()) places.prepare(missing, snapshot);
    std::uint64_t to_fetch_bytes = 0;
    for (const HubFile& file : missing)
      to_fetch_bytes += file.size_bytes - places.partial_bytes(file);
    refuse_full_disk(to_fetch_bytes, places);
    announce(files.size(), to_fetch_bytes);
    if (!missing.empty() && places.in_cache() && !places.cache().can_link(calls_))
      watch_.note(fmt::format("{}: no symbolic links; the snapshot gets the files themselves",
                              printable_path(places.disk().parent_path().string())));
    for (const HubFile& file : missing) fetch(file, places);
    return finish(files, snapshot, places);
  }

 private:
  const HttpOptions& options() const { return client_.options(); }

  /// The requested files, with the size and the id that the hub gives for each file.
  std::vector<HubFile> find_files() {
    const HubListing listing = hub_.list();
    commit_ = listing.commit;
    const std::vector<ListedFile> chosen = choose(listing, request_, watch_);
    refuse_unfetchable(chosen, hub_.shown_list());
    if (!request_.local_folder.empty()) refuse_own_folder(chosen);
    std::vector<HubFile> files;
    for (const ListedFile& file : chosen) files.push_back(hub_.describe(commit_, file));
    return files;
  }

  Snapshot snapshot_of(const std::vector<HubFile>& files) const {
    Snapshot snapshot{.commit = commit_};
    for (const HubFile& file : files) snapshot.files.push_back(Places::in_snapshot(file));
    if (request_.revision != commit_) snapshot.revision = request_.revision;
    return snapshot;
  }

  /// Throws Error(format) for a file in .cache, because the download keeps its own files there.
  static void refuse_own_folder(const std::vector<ListedFile>& files) {
    for (const ListedFile& file : files)
      if (file.name == ".cache" || file.name.starts_with(".cache/"))
        throw Error(ErrorKind::format,
                    fmt::format("file \"{}\": expected no name below .cache with "
                                "--local-dir; --exclude \".cache/\" leaves it "
                                "out",
                                printable(file.name)));
  }

  /// The files that must be fetched. In the cache, files with the same contents share one blob and
  /// count once.
  std::vector<HubFile> find_missing(const std::vector<HubFile>& files, const Places& places) {
    std::vector<HubFile> missing;
    std::set<std::string_view> here, not_here;
    for (const HubFile& file : files) {
      options().check_interrupted();
      const bool has = places.has(file, options());
      if (places.in_cache() && !(has ? here : not_here).insert(file.id).second) continue;
      total_bytes_ += file.size_bytes;
      if (has)
        done_bytes_ += file.size_bytes;
      else
        missing.push_back(file);
    }
    return missing;
  }

  void refuse_full_disk(std::uint64_t needed, const Places& places) const {
    std::error_code error;
    const fs::space_info space = calls_.space(places.disk(), error);
    // Some file systems do not report their free space. Then the download is tried.
    if (error || space.capacity == 0 || needed <= space.available) return;
    throw Error(ErrorKind::io, fmt::format("{}: expected {} of free space for the download, got {}",
                                           printable_path(places.disk().string()),
                                           bytes_text(needed), bytes_text(space.available)));
  }

  void announce(std::size_t n_files, std::uint64_t to_fetch_bytes) const {
    watch_.note(fmt::format("{} at {} (commit {}): {} {}, {}; {} to fetch", request_.repository,
                            printable(request_.revision), commit_.substr(0, 12), n_files,
                            n_files == 1 ? "file" : "files", bytes_text(total_bytes_),
                            to_fetch_bytes == 0 ? "nothing" : bytes_text(to_fetch_bytes)));
  }

  /// Takes a lock. Calls `waits` once when another process holds the lock. When the file system has
  /// no locks, tells the user once and returns a lock that is not held.
  FileLock lock(const fs::path& path, const std::function<void()>& waits) {
    constexpr auto kPause = std::chrono::milliseconds(100);
    for (bool said = false;; said = true) {
      if (auto lock = FileLock::try_lock(path, calls_.flock)) {
        if (!lock->is_held() && !std::exchange(said_no_lock_, true))
          watch_.note(
              fmt::format("{}; going on without a lock: do not download the same model "
                          "twice at the same time",
                          lock->problem()));
        return std::move(*lock);
      }
      if (!said) waits();
      std::this_thread::sleep_for(kPause);
      options().check_interrupted();
    }
  }

  void fetch(const HubFile& file, const Places& places) {
    const FileLock held = lock(places.lock(file), [&] {
      watch_.note(fmt::format("{}: another process is fetching it; waiting", printable(file.name)));
    });
    if (!places.has(file, options())) {  // another process may have fetched the file meanwhile
      PartialFile partial(places.partial(file));
      const FetchWatch watch{
          .progress =
              [&](std::uint64_t bytes) { watch_.progress(done_bytes_ + bytes, total_bytes_); },
          .note = watch_.note};
      fetch_file(client_, server_, hub_.file_url(commit_, file.name), file, partial, watch);
      partial.publish(places.target(file));
    }
    done_bytes_ += file.size_bytes;
    watch_.progress(done_bytes_, total_bytes_);
  }

  /// Completes the download. In the cache, adds the snapshot, so that other processes find either
  /// the whole model or nothing.
  fs::path finish(const std::vector<HubFile>& files, const Snapshot& snapshot,
                  const Places& places) {
    if (!places.in_cache()) return fs::absolute(request_.local_folder).lexically_normal();
    const CachedRepository& cache = places.cache();
    if (!cache.has(snapshot)) {
      places.prepare(files, snapshot);
      const FileLock held = lock(cache.lock(), [] {});
      if (held.is_held()) cache.remove_unfinished();
      cache.add(snapshot, calls_);
    }
    return fs::absolute(cache.snapshot(commit_)).lexically_normal();
  }

  const DownloadRequest& request_;
  const DownloadWatch& watch_;
  const DiskCalls& calls_;
  HubServer server_;
  HttpClient client_;
  HubRepository hub_;
  std::string commit_;
  bool said_no_lock_ = false;
  std::uint64_t done_bytes_ = 0, total_bytes_ = 0;
};

}  // namespace

fs::path download(const DownloadRequest& request, const HttpOptions& options,
                  const DownloadWatch& watch, const DiskCalls& calls) {
  check(request);
  return Download(request, options, watch, calls).run();
}

}  // namespace bitaxon::hub
