// Fetches the contents of one file into a partial file, over as many connections as needed.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "hub/http.h"
#include "hub/hub_api.h"
#include "platform/partial_file.h"

namespace bitaxon::hub {

struct FetchWatch {
  std::function<void(std::uint64_t bytes)> progress;  ///< gets the number of bytes received
  Note note;
};

/// Continues `partial` from its end until it has the size and the hash of `file`. When the id of
/// `file` is not a hash, only the size is checked. A partial file with wrong contents is emptied
/// and fetched again, once. Throws Interrupted, and Error(io). After an Error(io) the partial file
/// holds no bytes known to be wrong.
void fetch_file(HttpClient& client, const HubServer& server, const std::string& url,
                const HubFile& file, PartialFile& partial, const FetchWatch& watch);

/// Whether the file at `path` is known to have the contents of `file`. False when the id of `file`
/// is not a hash. Throws as content_id() does.
bool has_contents(const std::filesystem::path& path, const HubFile& file,
                  const HttpOptions& options);

}  // namespace bitaxon::hub
