// Finds the model that a user names on this machine.
#pragma once

#include <filesystem>
#include <string>

#include "bitaxon/model.h"

namespace bitaxon::tool {

/// The model that is used and downloaded when none is named.
inline constexpr const char* kDefaultRepository = "skyoo2003/bit-axon";

struct ModelSource {
  ModelFiles files;
  std::string note;        ///< one line for stderr if the user named no model; else empty
  std::string repository;  ///< the hub id by which it was found; empty for a path
};

/// Finds a path, a hub id, or, for "", the default: skyoo2003/bit-axon if the hub cache has a
/// complete copy, else the bundled model. `argument`: the flag or argument that named it. Throws
/// Error(io) that says where it was searched and, for a hub id, the command that fetches it.
ModelSource find_model(const std::string& name, std::string_view argument = "--model");

/// The path that --tokenizer names: a path as it is, or the folder of a hub id in the hub cache.
/// Throws Error(io) with the command that fetches the id if it is not in the cache.
std::filesystem::path find_tokenizer_path(const std::string& name);

/// models/tiny-shakespeare next to the program (a build tree) or under ../share/bit-axon
/// (installed).
std::filesystem::path bundled_model_folder();
/// models/texts/king-james.txt in the same folders.
std::filesystem::path bundled_text();

}  // namespace bitaxon::tool
