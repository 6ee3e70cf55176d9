// The hash by which a hub names the contents of a file.
#pragma once

#include <string>

#include "platform/file.h"

namespace bitaxon::hub {

struct HttpOptions;

enum class ContentHash {
  sha256,    ///< of the contents: files in LFS
  git_blob,  ///< SHA-1 of "blob SIZE\0" and the contents: all other files
  sha1       ///< of the contents: what some mirrors use as a tag
};

/// Lower-case hexadecimal digits. Reads the file through, which takes a while: throws Interrupted
/// when the flag of `options` is set, and Error(io).
std::string content_id(const File& file, ContentHash hash, const HttpOptions& options);

}  // namespace bitaxon::hub
