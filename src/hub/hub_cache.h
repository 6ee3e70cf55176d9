// The cache that all tools of a hub share, and its layout:
//   models--OWNER--NAME/blobs/ID                   contents, named by their hash
//   models--OWNER--NAME/blobs/ID.incomplete        as much of one as has arrived
//   models--OWNER--NAME/snapshots/COMMIT/PATH      links to ../../blobs/ID; where the file system
//                                                  has no links, the files themselves
//   models--OWNER--NAME/refs/REVISION              the commit that a branch or tag meant
//   .locks/models--OWNER--NAME/ID.lock             held by whoever fetches ID
//   .locks/models--OWNER--NAME/snapshots.lock      and, of our tools, by whoever adds to snapshots
#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "hub/disk_calls.h"

namespace bitaxon::hub {

// The folders are named by variables, in which "~", "~user", $NAME and ${NAME} are expanded.
/// $HF_HUB_CACHE, $HUGGINGFACE_HUB_CACHE, $HF_HOME/hub, $XDG_CACHE_HOME/huggingface/hub,
/// ~/.cache/huggingface/hub.
std::filesystem::path hub_cache_folder();
/// Where the hub's tools keep what is not the cache: $HF_HOME, else as above.
std::filesystem::path hub_home_folder();
/// $HF_TOKEN_PATH, else the file token there.
std::filesystem::path hub_token_file();
/// Whether an environment variable is "1", "ON", "YES" or "TRUE", in letters of either case.
bool is_true_variable(const char* name);

/// A commit's files, or some of them.
struct Snapshot {
  struct File {
    std::string path;  ///< below snapshots/COMMIT
    std::string id;    ///< of the contents, which are in blobs/ID
    std::uint64_t size_bytes = 0;
  };

  std::string commit;
  std::vector<File> files = {};
  std::string revision = {};  ///< branch or tag that means the commit; empty: none
};

/// The places of one repository. Nothing is made by asking.
class CachedRepository {
 public:
  /// `repository`: "owner/name", as is_repository() has it.
  explicit CachedRepository(const std::string& repository);

  std::filesystem::path blobs() const { return root_ / "blobs"; }
  std::filesystem::path snapshot(const std::string& commit) const {
    return root_ / "snapshots" / commit;
  }
  const std::filesystem::path& locks() const { return locks_; }

  /// The snapshot of the commit that refs/main names, else the only one; empty when there is none.
  std::filesystem::path find_snapshot() const;
  /// All that are here.
  std::vector<std::filesystem::path> snapshots() const;

  /// Whether all of its files are there and the revision means it.
  bool has(const Snapshot& wanted) const;
  /// Whether the snapshot of `commit` has the file itself, in place of a link to a blob.
  bool has_plain(const std::string& commit, const Snapshot::File& file) const;

  /// Whether links can be made in the folder of the repository, which is there, and
  /// $HF_HUB_DISABLE_SYMLINKS does not forbid them.
  bool can_link(const DiskCalls& calls) const;
  /// Makes what of it is not there. A new snapshot gets its name with all of the links; in one that
  /// is there, and where there are no links, config.json comes last, without which it is no model.
  /// The revision comes after either. Throws Error(io), also where a link in place of a folder
  /// would lead out of the cache.
  void add(const Snapshot& wanted, const DiskCalls& calls) const;
  /// Throws Error(io) when add() would find a folder that cannot be written.
  void refuse_unwritable_for(const Snapshot& wanted) const;
  /// Removes what killed processes have left. For whoever holds the lock of lock().
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

/// Makes the folders on the way from `root` to the file `path`, each of which is a folder or is not
/// there: a link could lead out of `root`. Returns root/path. Throws Error(io).
std::filesystem::path make_way(const std::filesystem::path& root, const std::string& path);
/// Throws Error(io).
void make_folders(const std::filesystem::path& folder);
/// Whether this process may read the file.
bool is_readable(const std::filesystem::path& path);
/// Throws Error(io) when nothing may be put at `place`: its folder, or the nearest above it that is
/// there, cannot be written.
void refuse_unwritable(const std::filesystem::path& place);

}  // namespace bitaxon::hub
