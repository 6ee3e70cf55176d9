// A fake hub with one repository, owner/name. As with real hubs, a second server stores the LFS
// files.
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

/// Pseudorandom bytes, the same in every run.
std::string some_bytes(std::size_t size);
/// The entry of one file in the list of files that the API returns.
Json listed(const std::string& name, const std::string& contents, bool lfs);

/// A handler that a test can set for some requests to a server. Setting another handler waits until
/// running calls have ended.
class Hook {
 public:
  /// Returns true if the function has answered the request.
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
  /// `identity` is the TLS certificate of both servers. If it is null, the servers do not use TLS.
  explicit FakeHub(const TlsIdentity* identity = nullptr);
  /// Adds a file to the repository. Call this before the first request.
  void add(const std::string& name, const std::string& contents, bool lfs);
  /// Adds all files of a folder to the repository.
  void add_folder(const std::filesystem::path& folder);

  const std::string& contents(const std::string& name) const { return files_.at(name); }
  /// The id of a file: the hash of its contents.
  std::string id(const std::string& name) const { return ids_.at(name); }
  /// Sends the requested range of a file with the header fields of a range. Sends the whole file if
  /// no range is requested.
  static void serve(const Connection& connection, const SeenRequest& request,
                    const std::string& contents, const std::string& tag);
  /// The requests to the second server. All of them ask for contents of files.
  std::vector<SeenRequest> fetches() const { return storage.requests(); }

  Json listing;   ///< the JSON that the API returns
  Hook on_api;    ///< handles requests to the API
  Hook on_file;   ///< handles all other requests to the hub
  Hook on_store;  ///< handles requests to the store of LFS files

 private:
  void answer(const Connection& connection, const SeenRequest& request);

  std::map<std::string, std::string> files_;  // contents, by file name and by id
  std::map<std::string, std::string> ids_;    // ids, by file name

 public:
  // The servers are the last members, because they use the other members until they stop.
  TestServer storage;
  TestServer server;
};

/// A test with a fake hub, an empty cache, and functions that download from the hub into the cache.
class HubTest : public testing::Test {
 protected:
  /// `identity` is the TLS certificate of the hub. If it is null, the hub does not use TLS.
  explicit HubTest(const TlsIdentity* identity = nullptr);

  /// The folder of the repository owner/name in the cache.
  std::filesystem::path repository() const { return cache_ / "hub/models--owner--name"; }
  std::filesystem::path snapshot() const { return repository() / "snapshots" / kCommit; }
  std::filesystem::path blob(const std::string& name) const {
    return repository() / "blobs" / hub_.id(name);
  }
  std::filesystem::path partial(const std::string& name) const {
    return blob(name).string() + ".incomplete";
  }
  /// Makes a partial file as an interrupted run leaves it.
  void leave_partial(const std::string& name, const std::string& contents) const;
  /// Expects that the snapshot has all files of the hub, and that no temporary file is left.
  void expect_all_here() const;

  /// Runs a download in this process, without pauses between retries.
  std::filesystem::path download(hub::DownloadRequest request = {.repository = "owner/name"});
  /// Whether one of the download's notes contains `fragment`.
  bool noted(std::string_view fragment) const;
  /// Sets a variable both in this process and for the program.
  void set_variable(const std::string& name, const std::string& value);
  /// Runs `bit-axon download owner/name`, followed by the arguments `more`.
  Finished run_download(const Arguments& more = {}) const;
  /// Runs the program. Expects this exit status, and one line on stderr that contains every
  /// fragment.
  void expect_refusal(const Arguments& more, int status,
                      std::initializer_list<std::string_view> fragments) const;

  FakeHub hub_;
  TemporaryFolder cache_;
  Surroundings surroundings_;
  std::vector<std::string> notes_;
  hub::DiskCalls calls_;  ///< system calls that download() makes
};

}  // namespace bitaxon::test
