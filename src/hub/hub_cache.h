// The cache that all tools of a hub share, and its layout:
//   models--OWNER--NAME/blobs/ID                   contents, named by their hash
//   models--OWNER--NAME/blobs/ID.incomplete        as much of one as has arrived
//   models--OWNER--NAME/snapshots/COMMIT/PATH      links to ../../blobs/ID
//   models--OWNER--NAME/refs/REVISION              the commit that a branch or tag meant
//   .locks/models--OWNER--NAME/ID.lock             held by whoever fetches ID
#pragma once

#include <filesystem>
#include <string>

namespace bitaxon::hub {

/// $HF_HUB_CACHE, $HF_HOME/hub, $XDG_CACHE_HOME/huggingface/hub, ~/.cache/huggingface/hub.
std::filesystem::path hub_cache_folder();
/// Where the hub's tools keep what is not the cache: $HF_HOME, else as above.
std::filesystem::path hub_home_folder();

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
  /// Makes snapshots/COMMIT/`path` a link to blobs/`id`, in one step also when another is there.
  /// Throws Error(io), also where a link instead of a folder would lead out of the snapshot.
  void link(const std::string& commit, const std::string& path, const std::string& id) const;
  /// Throws Error(io).
  void write_ref(const std::string& revision, const std::string& commit) const;

 private:
  std::filesystem::path root_, locks_;
};

/// Makes the folders on the way from `root` to the file `path`, each of which is a folder or is not
/// there: a link could lead out of `root`. Returns root/path. Throws Error(io).
std::filesystem::path make_way(const std::filesystem::path& root, const std::string& path);
/// Throws Error(io).
void make_folders(const std::filesystem::path& folder);

}  // namespace bitaxon::hub
