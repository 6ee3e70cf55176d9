// Reads whole files of JSON.
#pragma once

#include <filesystem>

#include "formats/json.h"

namespace bitaxon {

/// Reads and parses a file. Throws Error(io) if the file cannot be read or is larger than the limit,
/// and Error(format) for an empty file, for a Git LFS pointer, and as parse_json() does.
Json read_json_file(const std::filesystem::path& file, const JsonLimits& limits = {});

}  // namespace bitaxon
