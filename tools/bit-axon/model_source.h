// Where the model a user names lies on this machine.
#pragma once

#include <filesystem>
#include <string>

#include "bitaxon/model.h"

namespace bitaxon::tool {

struct ModelSource {
  ModelFiles files;
  std::string note;  ///< one line for stderr when the user did not name the model; else empty
};

/// A path, a hub id, or, for "", the default: skyoo2003/bit-axon from the hub cache, else the
/// bundled model. Throws Error(io) that says where was looked.
ModelSource find_model(const std::string& name);

/// models/tiny-shakespeare beside the program (a build tree) or under ../share/bit-axon
/// (installed).
std::filesystem::path bundled_model_folder();
/// models/texts/king-james.txt, likewise.
std::filesystem::path bundled_text();

/// The hub's cache: $HF_HUB_CACHE, $HF_HOME/hub, ~/.cache/huggingface/hub.
std::filesystem::path hub_cache_folder();

}  // namespace bitaxon::tool
