// A fake hub that takes uploads into the repository owner/name. As with real hubs, a second server
// stores the contents of LFS files.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "formats/json.h"
#include "test_server.h"

namespace bitaxon::test {

inline constexpr const char* kToken = "hf_secretsecret";

class UploadHub {
 public:
  /// Answers a request and returns true, or returns false to leave the answer to the hub.
  using Hook = std::function<bool(const Connection&, const SeenRequest&)>;

  UploadHub();

  /// The contents of a file of the repository. Fails the test if there is no such file.
  std::string file(const std::string& name) const;
  std::vector<std::string> file_names() const;
  std::vector<std::string> messages() const;  ///< of the commits
  bool has_object(const std::string& contents) const;
  /// The requests to the hub whose address contains `fragment`.
  std::vector<SeenRequest> asked(const std::string& fragment) const;
  /// The bytes that the store has received.
  std::size_t stored_bytes() const;

  bool exists = false, is_private = false;
  bool loses_an_answer = false;  ///< makes the next commit and does not answer
  std::size_t part_bytes = 0;    ///< size of the parts of a large file; 0 for one request
  Hook on_hub, on_store;

 private:
  void answer(const Connection& connection, const SeenRequest& request);
  void store(const Connection& connection, const SeenRequest& request);
  Json listing() const;
  Json modes(const Json& asked) const;
  Json batch(const Json& asked) const;
  void commit(const std::string& lines);

  mutable std::mutex mutex_;
  std::map<std::string, std::string> files_;    ///< contents by file name
  std::map<std::string, bool> lfs_;             ///< whether a file is in LFS, by file name
  std::map<std::string, std::string> objects_;  ///< contents by SHA-256
  std::map<std::string, std::map<std::size_t, std::string>> parts_;  ///< by SHA-256 and number
  std::vector<std::string> messages_;

 public:
  // The servers are the last members, because they use the other members until they stop.
  TestServer storage;
  TestServer server;
};

}  // namespace bitaxon::test
