// A fake hub with one repository, owner/name. A second server stores the files in LFS, as on real
// hubs.
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

/// Pseudorandom contents of a file.
std::string some_bytes(std::size_t size);
/// The entry of a file in the API's list.
Json listed(const std::string& name, const std::string& contents, bool lfs);

/// A test's own handler for some requests of a server. Replacing it waits for running calls.
class Hook {
 public:
  /// Returns true when it has answered the request.
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
  /// Adds a file. Call this before the first request.
  void add(const std::string& name, const std::string& contents, bool lfs);
  /// Adds the files of a folder.
  void add_folder(const std::filesystem::path& folder);

  const std::string& contents(const std::string& name) const { return files_.at(name); }
  /// The id of the file's contents.
  std::string id(const std::string& name) const { return ids_.at(name); }
  /// Sends the requested range of a file, with the header fields for it, or the whole file.
  static void serve(const Connection& connection, const SeenRequest& request,
                    const std::string& contents, const std::string& tag);
  /// The requests to the second server, which are requests for contents.
  std::vector<SeenRequest> fetches() const { return storage.requests(); }

  Json listing;   ///< the API's answer
  Hook on_api;    ///< replaces the API
  Hook on_file;   ///< replaces the rest of the hub
  Hook on_store;  ///< replaces the store of LFS files

 private:
  void answer(const Connection& connection, const SeenRequest& request);

  std::map<std::string, std::string> files_;  // by name and by id
  std::map<std::string, std::string> ids_;    // by name

 public:
  // Last members, because the servers use the others until they are destroyed.
  TestServer storage;
  TestServer server;
};

/// A hub, an empty cache, and downloads from the hub to the cache.
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
  /// Makes a partial file like that of an earlier run.
  void leave_partial(const std::string& name, const std::string& contents) const;
  /// All files of the hub are in the snapshot, and nothing is left over.
  void expect_all_here() const;

  /// Downloads in this process, without pauses.
  std::filesystem::path download(hub::DownloadRequest request = {.repository = "owner/name"});
  /// Whether a note holds `fragment`.
  bool noted(std::string_view fragment) const;
  /// Sets a variable in this process and for the program.
  void set_variable(const std::string& name, const std::string& value);
  /// Runs the program. `more` comes after the name of the repository.
  Finished run_download(const Arguments& more = {}) const;
  /// Runs the program, and expects this status and one line on stderr that holds the fragments.
  void expect_refusal(const Arguments& more, int status,
                      std::initializer_list<std::string_view> fragments) const;

  FakeHub hub_;
  TemporaryFolder cache_;
  Surroundings surroundings_;
  std::vector<std::string> notes_;
  hub::DiskCalls calls_;  ///< used by download()
};

}  // namespace bitaxon::test
