// The contents of one file, into a partial file, over as many connections as it takes.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "hub/http.h"
#include "hub/hub_api.h"
#include "platform/partial_file.h"

namespace bitaxon::hub {

struct FetchWatch {
  std::function<void(std::uint64_t bytes)> progress;  ///< of this file, are here
  Note note;
};

/// Continues `partial` from where it ends until it has the size and the hash of `file`. Where the
/// id of `file` is no hash, the size alone is checked. What does not begin like the file is dropped
/// and fetched anew, once. Throws Error(io), after which the partial file holds nothing wrong, and
/// Interrupted.
void fetch_file(HttpClient& client, const HubServer& server, const std::string& url,
                const HubFile& file, PartialFile& partial, const FetchWatch& watch);

/// Whether the file `path` is known to have the contents of `file`: never where the id of `file` is
/// no hash. Throws as content_id.
bool has_contents(const std::filesystem::path& path, const HubFile& file,
                  const HttpOptions& options);

}  // namespace bitaxon::hub
