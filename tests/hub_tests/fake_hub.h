// A fake hub with one repository, owner/name. As on real hubs, a second server stores LFS files.
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
#include "support/temporary_folder.h"
#include "support/tensors.h"
#include "test_server.h"

namespace bitaxon::test {

inline constexpr const char* kCommit = "0123456789abcdef0123456789abcdef01234567";

/// Pseudorandom contents of a file.
std::string some_bytes(std::size_t size);
/// The entry of a file in the list of files that the API returns.
Json listed(const std::string& name, const std::string& contents, bool lfs);

/// A handler that a test sets for some requests of a server. Replacing the handler waits for
/// running calls.
class Hook {
 public:
  /// Returns true if it has answered the request.
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
  /// `identity` is the certificate of both servers. If it is null, the servers do not use TLS.
  explicit FakeHub(const TlsIdentity* identity = nullptr);
  /// Adds a file. Call this before the first request.
  void add(const std::string& name, const std::string& contents, bool lfs);
  /// Adds the files of a folder.
  void add_folder(const std::filesystem::path& folder);

  const std::string& contents(const std::string& name) const { return files_.at(name); }
  /// The id of the file's contents.
  std::string id(const std::string& name) const { return ids_.at(name); }
  /// Sends the requested range of a file with the header fields of a range, or the whole file.
  static void serve(const Connection& connection, const SeenRequest& request,
                    const std::string& contents, const std::string& tag);
  /// The requests to the second server, which all ask for contents of files.
  std::vector<SeenRequest> fetches() const { return storage.requests(); }

  Json listing;   ///< the answer of the API
  Hook on_api;    ///< handles requests to the API
  Hook on_file;   ///< handles all other requests to the hub
  Hook on_store;  ///< handles requests to the store of LFS files

 private:
  void answer(const Connection& connection, const SeenRequest& request);

  std::map<std::string, std::string> files_;  // by name and by id
  std::map<std::string, std::string> ids_;    // by name

 public:
  // These are the last members, because the servers use the other members until they stop.
  TestServer storage;
  TestServer server;
};

/// A hub, an empty cache, and functions that download from the hub to the cache.
class HubTest : public testing::Test {
 protected:
  /// `identity` is the certificate of the hub. If it is null, the hub does not use TLS.
  explicit HubTest(const TlsIdentity* identity = nullptr);

  /// The folder of the repository in the cache.
  std::filesystem::path repository() const { return cache_ / "hub/models--owner--name"; }
  std::filesystem::path snapshot() const { return repository() / "snapshots" / kCommit; }
  std::filesystem::path blob(const std::string& name) const {
    return repository() / "blobs" / hub_.id(name);
  }
  std::filesystem::path partial(const std::string& name) const {
    return blob(name).string() + ".incomplete";
  }
  /// Makes a partial file like one that an interrupted run leaves.
  void leave_partial(const std::string& name, const std::string& contents) const;
  /// Expects that all files of the hub are in the snapshot and no temporary file is left.
  void expect_all_here() const;

  /// Downloads in this process, without pauses between retries.
  std::filesystem::path download(hub::DownloadRequest request = {.repository = "owner/name"});
  /// Whether a note holds `fragment`.
  bool noted(std::string_view fragment) const;
  /// Sets a variable in this process and for the program.
  void set_variable(const std::string& name, const std::string& value);
  /// Runs the program. `more` comes after the name of the repository.
  Finished run_download(const Arguments& more = {}) const;
  /// Runs the program. Expects this status and one line on stderr that contains the fragments.
  void expect_refusal(const Arguments& more, int status,
                      std::initializer_list<std::string_view> fragments) const;

  FakeHub hub_;
  TemporaryFolder cache_;
  Surroundings surroundings_;
  std::vector<std::string> notes_;
  hub::DiskCalls calls_;  ///< used by download()
};

}  // namespace bitaxon::test
