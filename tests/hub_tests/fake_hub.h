// A hub of one repository, owner/name, with a second server for the files in LFS as real hubs have.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <string>

#include "formats/json.h"
#include "hub/download.h"
#include "program.h"
#include "support/tensors.h"
#include "test_server.h"

namespace bitaxon::test {

inline constexpr const char* kCommit = "0123456789abcdef0123456789abcdef01234567";

/// Contents that differ from byte to byte.
std::string some_bytes(std::size_t size);
/// A file with contents `contents` as the API lists it.
Json listed(const std::string& name, const std::string& contents, bool lfs);

/// What a test lets a server do with some requests. Replacing it waits for those under way.
class Hook {
 public:
  /// Returns true when it has answered.
  using Function = std::function<bool(const Connection&, const SeenRequest&)>;

  Hook& operator=(Function function) {
    const std::unique_lock lock(mutex_);
    function_ = std::move(function);
    return *this;
  }
  bool operator()(const Connection& connection, const SeenRequest& request) const {
    const std::shared_lock lock(mutex_);
    return function_ && function_(connection, request);
  }

 private:
  mutable std::shared_mutex mutex_;
  Function function_;
};

class FakeHub {
 public:
  /// `identity`: of both servers; null: no TLS.
  explicit FakeHub(const TlsIdentity* identity = nullptr);
  /// Before the first request.
  void add(const std::string& name, const std::string& contents, bool lfs);
  /// Adds the files of a folder.
  void add_folder(const std::filesystem::path& folder);

  const std::string& contents(const std::string& name) const { return files_.at(name); }
  /// The id of the file's contents.
  std::string id(const std::string& name) const { return ids_.at(name); }
  /// Of the file with the first of its bytes missing and the header fields that say so, or whole.
  static void serve(const Connection& connection, const SeenRequest& request,
                    const std::string& contents, const std::string& tag);
  /// Of the second server: requests for contents.
  std::vector<SeenRequest> fetches() const { return storage.requests(); }

  Json listing;   ///< what the API answers
  Hook on_api;    ///< in place of the API
  Hook on_file;   ///< in place of the hub
  Hook on_store;  ///< in place of the store of LFS files

 private:
  void answer(const Connection& connection, const SeenRequest& request);

  std::map<std::string, std::string> files_;  // by name and by id
  std::map<std::string, std::string> ids_;    // by name

 public:
  // Last: they answer as long as they live.
  TestServer storage;
  TestServer server;
};

/// A hub, an empty cache, and downloads from one to the other.
class HubTest : public testing::Test {
 protected:
  /// `identity`: of the hub; null: no TLS.
  explicit HubTest(const TlsIdentity* identity = nullptr);

  /// models--owner--name
  std::filesystem::path repository() const { return cache_ / "hub/models--owner--name"; }
  std::filesystem::path snapshot() const { return repository() / "snapshots" / kCommit; }
  std::filesystem::path blob(const std::string& name) const {
    return repository() / "blobs" / hub_.id(name);
  }
  std::filesystem::path partial(const std::string& name) const {
    return blob(name).string() + ".incomplete";
  }
  /// Makes a partial file as an earlier run leaves it.
  void leave_partial(const std::string& name, const std::string& contents) const;
  /// All files of the hub are in the snapshot, and nothing is left over.
  void expect_all_here() const;

  /// In this process, without pauses.
  std::filesystem::path download(hub::DownloadRequest request = {.repository = "owner/name"});
  /// Whether a note holds `fragment`.
  bool noted(std::string_view fragment) const;
  /// In the environment of this process and of the program.
  void set_variable(const std::string& name, const std::string& value);
  /// The program; `more` comes after the name of the repository.
  Finished run_download(const Arguments& more = {}) const;
  /// Ends with this status and one line on stderr that holds the fragments.
  void expect_refusal(const Arguments& more, int status,
                      std::initializer_list<std::string_view> fragments) const;

  FakeHub hub_;
  TemporaryFolder cache_;
  Surroundings surroundings_;
  std::vector<std::string> notes_;
  hub::DiskCalls calls_;  ///< of download()
};

}  // namespace bitaxon::test
