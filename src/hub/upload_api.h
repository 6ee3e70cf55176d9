// The requests of an upload: the hub's API for repositories and commits, and the LFS batch API.
// Sources: the API reference of the hub (huggingface.co/docs/hub/api); git-lfs docs/api/batch.md and
// basic-transfers.md; the transfer "multipart" as the hub's own client uses it: `header` of the
// action has chunk_size and an address for each part number.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "formats/json_fwd.h"
#include "hub/hub_api.h"

namespace bitaxon::hub {

/// The contents of a file in LFS.
struct LfsObject {
  std::string id;  ///< SHA-256
  std::uint64_t size_bytes = 0;
};

/// A request that the hub asks for: its address and its header fields.
struct LfsAction {
  std::string url;
  std::map<std::string, std::string> fields = {};
};

/// How the contents of one object get to the hub.
struct LfsPlan {
  std::optional<LfsAction> upload = {};     ///< empty if the hub has the contents already
  std::optional<LfsAction> verify = {};     ///< to call when everything is sent
  std::uint64_t part_bytes = 0;             ///< 0: one request with all bytes
  std::vector<std::string> part_urls = {};  ///< addresses of the parts, in their order
};

/// A file of a commit.
struct CommitFile {
  std::string name;
  std::optional<LfsObject> lfs = {};  ///< set for a file in LFS
  std::string text = {};              ///< the contents of any other file
};

/// Throws as HubRepository does. Requests are tried again after failures that may pass.
class UploadApi {
 public:
  /// The arguments must outlive the object, except `note`.
  UploadApi(HttpClient& client, const HubServer& server, const std::string& repository,
            const std::string& revision, Note note);

  /// Makes the repository. Returns false if it exists already.
  bool create(bool is_private);
  struct Sampled {
    std::string name;
    std::uint64_t size_bytes = 0;
    std::string first_bytes = {};  ///< at most 512
  };
  /// Asks which files belong into LFS, by name. Files that the repository ignores are left out.
  std::map<std::string, bool> ask_modes(const std::vector<Sampled>& files);
  LfsPlan plan(const LfsObject& object, const std::string& name);
  /// Sends bytes to a store. Returns the ETag, or nothing if the address has expired.
  std::optional<std::string> send(const LfsAction& to, HttpBody body, const std::string& name);
  /// Joins the parts that were sent. Returns false if the hub no longer knows them.
  bool complete(const LfsAction& upload, const LfsObject& object,
                const std::vector<std::string>& tags, const std::string& name);
  void verify(const LfsAction& action, const LfsObject& object, const std::string& name);
  /// Returns the id of the new commit. Returns nothing if the answer was lost, so that the commit may
  /// or may not have been made.
  std::optional<std::string> commit(const std::string& message,
                                    const std::vector<CommitFile>& files);

 private:
  HttpAnswer post(const std::string& url, const std::string& type, const std::string& body,
                  const std::string& what, std::string* answer,
                  const std::function<bool(int)>& is_final = {});
  Json post_json(const std::string& url, const Json& body, const std::string& what);
  std::string token_for(const std::string& url) const;
  [[noreturn]] void refuse(const HttpAnswer& answer, const std::string& what) const;

  HttpClient& client_;
  const HubServer& server_;
  const std::string& repository_;
  const std::string& revision_;
  Note note_;
};

}  // namespace bitaxon::hub
