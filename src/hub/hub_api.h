// What a hub says of a repository.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "hub/http.h"
#include "hub/hub_server.h"

namespace bitaxon::hub {

/// One file of a revision.
struct HubFile {
  std::string name;  ///< a path below the repository's folder
  std::uint64_t size_bytes = 0;
  /// The hash of its contents and its name in the cache: SHA-256 of a file in LFS, else SHA-1 as
  /// git has it.
  std::string id;
};

struct HubListing {
  std::string commit;  ///< 40 hexadecimal digits
  std::vector<HubFile> files;
};

/// What was tried again, for the user.
using Note = std::function<void(const std::string&)>;

/// Reads the hub's answer; `name` begins every message. Throws Error(format), also for names that
/// lead elsewhere than below a folder, for two of one name, and for sizes and hashes that are none.
HubListing parse_listing(std::string_view text, std::string_view name);

/// Asks for the files of a revision (branch, tag or commit). Throws Error(io) that says what to do
/// when the hub refuses, and as parse_listing. Throws Interrupted.
HubListing list_files(HttpClient& client, const HubServer& server, const std::string& repository,
                      const std::string& revision, const Note& note);

/// Where the contents of a file are.
std::string file_url(const HubServer& server, const std::string& repository,
                     const std::string& commit, const std::string& name);

/// Throws the Error(io) for an answer that is neither 200 nor 206; `what` begins its message.
[[noreturn]] void refuse_status(const HttpAnswer& answer, const HubServer& server,
                                const std::string& what);

}  // namespace bitaxon::hub
