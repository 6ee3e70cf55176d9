// The cache that all tools of a hub share, and its layout:
//   models--OWNER--NAME/blobs/ID                   contents, named by their hash
//   models--OWNER--NAME/blobs/ID.incomplete        the bytes of a blob that have arrived so far
//   models--OWNER--NAME/snapshots/COMMIT/PATH      symbolic link to ../../blobs/ID; the file itself
//                                                  on file systems without symbolic links
//   models--OWNER--NAME/refs/REVISION              the commit that a branch or tag points to
//   .locks/models--OWNER--NAME/ID.lock             held while a process fetches ID
//   .locks/models--OWNER--NAME/snapshots.lock      held while this program adds to snapshots; the
//                                                  hub's own tools do not use it
// The folder of a data set begins with "datasets" instead of "models".
#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "hub_cache/disk_calls.h"

namespace bitaxon::hub {

// Environment variables name the folders. In their values, "~", "~user", $NAME and ${NAME} are
// expanded.
/// The first of $HF_HUB_CACHE, $HUGGINGFACE_HUB_CACHE, $HF_HOME/hub,
/// $XDG_CACHE_HOME/huggingface/hub and ~/.cache/huggingface/hub whose variable is set.
std::filesystem::path hub_cache_folder();
/// Where the hub's tools keep files other than the cache: the first of $HF_HOME,
/// $XDG_CACHE_HOME/huggingface and ~/.cache/huggingface whose variable is set.
std::filesystem::path hub_home_folder();
/// $HF_TOKEN_PATH, else the file "token" in hub_home_folder().
std::filesystem::path hub_token_file();
/// Whether an environment variable is "1", "ON", "YES" or "TRUE", in upper or lower case.
bool is_true_variable(const char* name);

/// The files of a commit, or some of them.
struct Snapshot {
  struct File {
    std::string path;  ///< path below snapshots/COMMIT
    std::string id;    ///< names the contents, which are in blobs/ID
    std::uint64_t size_bytes = 0;
  };

  std::string commit;
  std::vector<File> files = {};
  std::string revision = {};  ///< branch or tag that points to the commit; may be empty
};

enum class RepositoryKind : std::uint8_t { model, dataset };

/// The folders and files of one repository in the cache. Only add() and can_link() create anything.
class CachedRepository {
 public:
  /// `repository` is an "owner/name" that is_repository() accepts.
  explicit CachedRepository(const std::string& repository,
                            RepositoryKind kind = RepositoryKind::model);

  std::filesystem::path blobs() const { return root_ / "blobs"; }
  std::filesystem::path snapshot(const std::string& commit) const {
    return root_ / "snapshots" / commit;
  }
  const std::filesystem::path& locks() const { return locks_; }

  /// The snapshot of the commit that refs/main names, else the only snapshot. Empty if there is no
  /// snapshot of that commit, and none or several of other commits.
  std::filesystem::path find_snapshot() const;
  /// All snapshots in the cache.
  std::vector<std::filesystem::path> snapshots() const;

  /// Whether all wanted files are there and the revision points to the wanted commit.
  bool has(const Snapshot& wanted) const;
  /// Whether the snapshot of `commit` has the file itself instead of a link to a blob.
  bool has_plain(const std::string& commit, const Snapshot::File& file) const;

  /// Whether symbolic links can be made in the folder of the repository, and
  /// $HF_HUB_DISABLE_SYMLINKS does not forbid them.
  bool can_link(const DiskCalls& calls) const;
  /// Adds the wanted files that are missing. A new snapshot gets its name after all links are made.
  /// In an existing snapshot, or without symbolic links, config.json is added last: without it the
  /// snapshot does not count as a model. The revision is written after the files. Throws Error(io),
  /// also when a symbolic link instead of a folder would lead out of the cache.
  void add(const Snapshot& wanted, const DiskCalls& calls) const;
  /// Throws Error(io) when add() would have to write into a folder that is not writable.
  void refuse_unwritable_for(const Snapshot& wanted) const;
  /// Removes temporary folders that killed processes left. The caller holds the lock at lock().
  void remove_unfinished() const;
  std::filesystem::path lock() const { return locks_ / "snapshots.lock"; }

 private:
  std::filesystem::path ref(const std::string& revision) const { return root_ / "refs" / revision; }
  bool has_file(const std::string& commit, const Snapshot::File& file) const;
  void add_links(const Snapshot& wanted, const std::filesystem::path& unfinished,
                 const DiskCalls& calls) const;
  void add_files(const Snapshot& wanted, const std::filesystem::path& unfinished) const;
  std::set<std::string> linked_blobs() const;
  void write_ref(const std::string& revision, const std::string& commit,
                 const std::filesystem::path& unfinished) const;

  std::filesystem::path root_, locks_;
};

/// Makes the folders between `root` and the file root/path. Returns root/path. Throws Error(io)
/// when a folder cannot be made, and when it is a symbolic link, which could lead out of `root`.
std::filesystem::path make_way(const std::filesystem::path& root, const std::string& path);
/// Makes the folder and its parents. Throws Error(io).
void make_folders(const std::filesystem::path& folder);
/// Whether this process may read the file.
bool is_readable(const std::filesystem::path& path);
/// Throws Error(io) when no file can be created at `place`, because its folder is not writable. If
/// the folder is missing, the nearest existing parent must be writable.
void refuse_unwritable(const std::filesystem::path& place);

}  // namespace bitaxon::hub
