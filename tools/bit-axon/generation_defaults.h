// The sampling parameters that a model's generation_config.json names.
#pragma once

#include <filesystem>
#include <string>

#include "cmd_run.h"

namespace bitaxon::tool {

/// Sets the parameters that generation_config.json names and no flag gives. Returns one line that
/// lists them; empty if there are none. Throws Error(io, format).
std::string apply_generation_defaults(const std::filesystem::path& folder, const RunOptions& run,
                                      GenerateOptions& options);

}  // namespace bitaxon::tool
