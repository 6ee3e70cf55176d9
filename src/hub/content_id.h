// The hash that a hub uses as the name of a file's contents.
#pragma once

#include <string>
#include <string_view>

#include "platform/file.h"

namespace bitaxon::hub {

struct HttpOptions;

enum class ContentHash {
  sha256,    ///< SHA-256 of the contents, used for files in LFS
  git_blob,  ///< SHA-1 of "blob SIZE\0" and the contents, used for all other files
  sha1       ///< SHA-1 of the contents, which some mirrors use as an ETag
};

/// Returns the hash of the file in lower-case hexadecimal digits. Reads the whole file, which takes
/// a while. Throws Interrupted when the flag of `options` is set. Throws Error(io) when reading
/// fails.
std::string content_id(const File& file, ContentHash hash, const HttpOptions& options);

/// The hash of a text.
std::string content_id(std::string_view text, ContentHash hash);

}  // namespace bitaxon::hub
