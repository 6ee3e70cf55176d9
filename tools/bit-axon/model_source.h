// Where the model a user names lies on this machine.
#pragma once

#include <filesystem>
#include <string>

#include "bitaxon/model.h"

namespace bitaxon::tool {

/// What is used and downloaded when nothing is named.
inline constexpr const char* kDefaultRepository = "skyoo2003/bit-axon";

struct ModelSource {
  ModelFiles files;
  std::string note;        ///< one line for stderr when the user did not name the model; else empty
  std::string repository;  ///< the hub id it was found by; empty: a path named it
};

/// A path, a hub id, or, for "", the default: skyoo2003/bit-axon from the hub cache when it is
/// there as a whole, else the bundled model. `argument`: what named it. Throws Error(io) that says
/// where was looked and, for a hub id, the command to type.
ModelSource find_model(const std::string& name, std::string_view argument = "--model");

/// What --tokenizer names: a path as it is, or the folder of a hub id in the hub cache. Throws
/// Error(io) with the command to type when the id is not there.
std::filesystem::path find_tokenizer_path(const std::string& name);

/// models/tiny-shakespeare beside the program (a build tree) or under ../share/bit-axon
/// (installed).
std::filesystem::path bundled_model_folder();
/// models/texts/king-james.txt, likewise.
std::filesystem::path bundled_text();

}  // namespace bitaxon::tool
